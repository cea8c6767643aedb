// The sample application of `npm start`: its manifests, and the image for Docker. The same small Node program runs in a
// container or as a plain process; it listens on its pod's own address.
import { execFile } from 'node:child_process'
import { readFile, realpath } from 'node:fs/promises'
import { promisify } from 'node:util'
import { dockerArchive, processor } from '../drivers/runtime/pause/image.ts'
import { type TarEntry, tar } from '../drivers/runtime/tar.ts'
import type { Bytes } from '../lib/bytes.ts'

export const demoImage = 'flotilla.dev/demo:1'
export const demoNamespace = 'demo'
export const demoReplicas = 3
const port = 8080

// Kept short: it travels as an argument.
const program = `
const { POD_IP, POD_NAME, NODE_NAME } = process.env
require('node:http').createServer((request, response) => {
  response.setHeader('content-type', 'text/html')
  response.end('<h1>Flotilla</h1><p>This is ' + POD_NAME + ' on ' + NODE_NAME + '.</p>\\n')
}).listen(${port}, POD_IP)
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))
`

/** `image` and `node`: what to run, and where Node lies in it. */
export function demoObjects(image: string, node: string): readonly { readonly path: string; readonly body: unknown }[] {
  const labels = { app: 'demo' }
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } })
  const container = {
    name: 'demo',
    image,
    imagePullPolicy: 'IfNotPresent',
    command: [node, '-e', program],
    env: [field('POD_IP', 'status.podIP'), field('POD_NAME', 'metadata.name'), field('NODE_NAME', 'spec.nodeName')],
    ports: [{ name: 'http', containerPort: port }],
    readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
  }
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: labels },
  }
  return [
    { path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: demoNamespace } } },
    {
      path: `/apis/apps/v1/namespaces/${demoNamespace}/deployments`,
      body: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'demo', labels },
        spec: {
          replicas: demoReplicas,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              containers: [container],
              topologySpreadConstraints: [spread],
              terminationGracePeriodSeconds: 2,
              automountServiceAccountToken: false,
            },
          },
        },
      },
    },
    {
      path: `/api/v1/namespaces/${demoNamespace}/services`,
      body: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'demo', labels },
        spec: { type: 'NodePort', selector: labels, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
      },
    },
  ]
}

/** The Node that runs this, with its libraries, as a docker-archive: no registry is needed. */
export async function demoArchive(): Promise<Bytes> {
  const here = processor(process.arch)
  if (here === undefined) throw new Error(`no demo image for ${process.arch}`)
  const node = await realpath(process.execPath)
  const { stdout } = await promisify(execFile)('ldd', [node])
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(match => match[1] ?? '')
  const folders = new Set<string>(['tmp', 'usr', 'usr/bin'])
  for (const library of libraries) {
    const steps = library.split('/').slice(1, -1)
    for (let i = 1; i <= steps.length; i++) folders.add(steps.slice(0, i).join('/'))
  }
  const files = await Promise.all(
    [['usr/bin/node', node] as const, ...libraries.map(path => [path.slice(1), path] as const)].map(
      async ([path, from]): Promise<TarEntry> => ({ kind: 'file', path, mode: 0o755, bytes: await readFile(from) }),
    ),
  )
  const entries = [...folders].sort().map((path): TarEntry => ({ kind: 'folder', path, mode: 0o755 }))
  return dockerArchive(demoImage, here, tar([...entries, ...files]), { Cmd: ['/usr/bin/node'] })
}
