// What bench/grpc.ts measures, in a process of its own: the gRPC driver before a service that answers at once. `empty`
// answers each Put with one and the same message; `memory` is etcd's API on a store in memory.
import { serveGrpc } from '../../src/drivers/grpc/serve.ts'
import type { Log } from '../../src/world/log.ts'
import { memoryCommandStore } from '../etcd/memory-store.ts'
import { serveEtcd } from '../etcd/serve.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const answer = new Uint8Array(30)

async function serve(kind: string | undefined): Promise<number> {
  if (kind === 'memory') return (await serveEtcd(memoryCommandStore())).port
  const service = {
    unary: new Map([['/etcdserverpb.KV/Put', (_bytes, _start, _end, call) => call.respond(answer, 0, answer.length)]]),
    stream: new Map(),
  } satisfies Parameters<typeof serveGrpc>[0]['service']
  const options = { host: '127.0.0.1', port: 0, tls: undefined, service, log: silent }
  return (await serveGrpc(options, new AbortController().signal)).port
}

process.send?.(await serve(process.argv[2]))
process.on('disconnect', () => process.exit())
