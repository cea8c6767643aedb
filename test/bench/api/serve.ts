// The API on a member of the bench: an API server on its store, at an HTTPS port, and what it makes when it leads.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openApiserver } from '../../../src/apiserver/run.ts'
import { serveHttps } from '../../../src/drivers/http/serve.ts'
import type { Store } from '../../../src/kv/store.ts'
import type { HttpRequest, HttpResponse } from '../../../src/world/http.ts'
import type { World } from '../../../src/world/world.ts'
import { storePath } from './requests.ts'

/** `tls`: a folder with ca.pem, cert.pem, key.pem and account.pem. Resolves once the port is open. */
export async function serveApi(world: World, store: Store, port: number, tls: string, signal: AbortSignal) {
  const [ca, cert, key, account] = await Promise.all(
    ['ca', 'cert', 'key', 'account'].map(name => readFile(join(tls, `${name}.pem`), 'utf8')),
  )
  if (ca === undefined || cert === undefined || key === undefined || account === undefined) throw new Error(tls)
  const issuer = 'https://kubernetes.default.svc.cluster.local'
  const apiserver = openApiserver(
    world,
    store,
    {
      serviceCidr: '10.96.0.0/16',
      nodePortRange: { from: 30_000, to: 32_767 },
      version: {
        major: '1',
        minor: '33',
        gitVersion: 'v1.33.0+flotilla-bench',
        gitCommit: 'bench',
        buildDate: '2026-01-01T00:00:00Z',
        platform: `linux/${process.arch}`,
      },
      serviceAccountKeys: { privateKeys: [account], issuer, audiences: [issuer] },
      readYaml: () => Promise.reject(new Error('the bench sends no YAML')),
      peerOfNode: () => undefined,
      kubeletOf: () => Promise.reject(new Error('the bench has no kubelets')),
    },
    signal,
  )
  const served = await serveHttps(
    { port, hosts: ['127.0.0.1'], key, cert, ca, handle: storing(store, apiserver.handle, signal), log: world.log },
    signal,
  )
  const leading = (async () => {
    for await (const leadership of store.leadership(signal)) {
      if (!leadership.mine) continue
      const until = AbortSignal.any([signal, leadership.ended])
      while (!until.aborted) {
        try {
          await apiserver.bootstrap(leadership.term, until)
          break
        } catch (error) {
          world.log.info('not bootstrapped yet', { error: String(error) })
          await world.clock.sleep(100, until)
        }
      }
    }
  })()
  return { done: Promise.all([served.done, apiserver.done, leading]) }
}

type Handle = (request: HttpRequest) => Promise<HttpResponse>

/** As `handle`; what is posted under `storePath` is stored as it comes and answered as it is: the least that a create can be. */
function storing(store: Store, handle: Handle, signal: AbortSignal): Handle {
  return async request => {
    if (!request.path.startsWith(storePath)) return await handle(request)
    const body = await request.body(1024 * 1024)
    const value = Buffer.from(body ?? []).toString('latin1')
    const key = `/registry${request.path}`
    const { kind } = await store.write({ compare: [{ key, modRevision: 0 }], operations: [{ key, value }] }, signal)
    const headers = { 'content-type': 'application/json' }
    return { kind: 'whole', code: kind === 'done' ? 201 : 409, headers, body: Buffer.from(value, 'latin1') }
  }
}
