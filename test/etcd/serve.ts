// etcd's API on a store in memory, served on a free port of loopback: `using` ends it.
import { realClock } from '../../src/drivers/clock.ts'
import { serveGrpc } from '../../src/drivers/grpc/serve.ts'
import { openEtcd } from '../../src/etcd/run.ts'
import type { CommandStore } from '../../src/kv/txn.ts'
import type { Log } from '../../src/world/log.ts'

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }

export async function serveEtcd(store: CommandStore, progressMs = 600_000) {
  const end = new AbortController()
  let port = 0
  const config = {
    clusterId: 'test',
    member: 'm0',
    clientUrlsOf: () => [`http://127.0.0.1:${port}`],
    nameOf: () => 'memory',
    dbBytes: () => Promise.resolve(4_096),
    progressMs,
  }
  const service = openEtcd(realClock(), store, config, end.signal)
  const options = { host: '127.0.0.1', port: 0, tls: undefined, service, log: silent }
  const server = await serveGrpc(options, end.signal)
  port = server.port
  return {
    port,
    async [Symbol.asyncDispose]() {
      end.abort()
      await server.done
    },
  }
}
