// The API server on a real port, with a kubeconfig for kubectl. `node test/apiserver/served.ts` runs it for people.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ApiserverConfig } from '../../src/apiserver/run.ts'
import { type Bounds, serveHttps } from '../../src/drivers/http/serve.ts'
import { peerId } from '../../src/world/network.ts'
import { certificates } from './certificates.ts'
import { fakeKubelet } from './fake-kubelet.ts'
import { testApiserver } from './setup.ts'

export async function servedApiserver(more: Partial<ApiserverConfig> = {}, port = 0, bounds: Partial<Bounds> = {}) {
  const api = await testApiserver(more)
  const certs = await certificates()
  const served = await serveHttps(
    {
      ...{ port, hosts: ['127.0.0.1'], ...certs.server, ca: certs.ca, bounds },
      handle: api.apiserver.handle,
      log: api.world.log,
    },
    api.signal,
  )
  const folder = await mkdtemp(join(tmpdir(), 'apiserver-'))
  const admin = await certs.client('admin', ['system:masters'])
  const server = `https://127.0.0.1:${served.port}`
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const kubeconfig = join(folder, 'config')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': base64(certs.ca) } }],
    users: [
      { name: 'test', user: { 'client-certificate-data': base64(admin.cert), 'client-key-data': base64(admin.key) } },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  }
  await writeFile(kubeconfig, JSON.stringify(config), { mode: 0o600 })
  return {
    ...api,
    certs,
    admin,
    server,
    port: served.port,
    kubeconfig,
    folder,
    async close() {
      api.stop()
      await served.done
      await rm(folder, { recursive: true, force: true })
    },
  }
}

if (import.meta.main) {
  const kubelet = fakeKubelet()
  const { kubeconfig, server, lines } = await servedApiserver({ peerOfNode: peerId, kubeletOf: () => kubelet.open() })
  process.stdout.write(`${server} ${kubeconfig}\n`)
  setInterval(() => {
    for (const line of lines.splice(0)) process.stderr.write(`${JSON.stringify(line)}\n`)
  }, 500)
}
