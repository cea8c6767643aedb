// What the bench asks of an API server: the pods it makes, and the text of each request.

export type Operation =
  | { readonly kind: 'get'; readonly pods: number; readonly cached: boolean }
  | { readonly kind: 'list'; readonly pods: number }
  /** `alike`: pods of one template, which differ in their names alone; else no two have one spec. */
  | { readonly kind: 'create'; readonly run: string; readonly alike: boolean }
  /** As long as what a create stores, and stored as it is. */
  | { readonly kind: 'store'; readonly run: string; readonly value: string }
  | { readonly kind: 'update' }
  | { readonly kind: 'patch' }

export const namespaceOf = (pods: number): string => `pods-${pods}`
/** Where pods are created, and where each client changes one of its own. */
export const scratch = 'scratch'
export const own = 'own'

/** Gated, so that nobody would run it; as much in it as in a pod of a plain Deployment: 1.5 kB of JSON. */
export function pod(name: string, turn = 0, template = ''): string {
  const env = Array.from({ length: 6 }, (_, i) => ({ name: `SETTING_${i}`, value: `value-of-setting-${i}${template}` }))
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'bench', turn: String(turn) }, annotations: { note: 'made by the bench' } },
    spec: {
      schedulingGates: [{ name: 'bench/never' }],
      // What admission would set: who updates a pod may not take it away again.
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'app',
          image: 'registry.example/app:1.2.3',
          env,
          ports: [{ name: 'http', containerPort: 8080 }],
          resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
          readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
        },
      ],
    },
  })
}

const head = (method: string, path: string, type: string | undefined, length: number): string =>
  `${method} ${path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: application/json\r\n${
    type === undefined ? '' : `Content-Type: ${type}\r\nContent-Length: ${length}\r\n`
  }\r\n`

export const ask = (path: string): string => head('GET', path, undefined, 0)
export const send = (method: string, path: string, body: string, type = 'application/json'): string =>
  head(method, path, type, Buffer.byteLength(body)) + body

/** Where a peer of the bench stores what it is sent, and nothing more. */
export const storePath = '/stored/'

export const podsPath = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`

/** The text of the next request of one client: the `turn`th of client `client`. */
export function requestOf(operation: Operation, client: number, turn: number): string {
  switch (operation.kind) {
    case 'get': {
      const name = `pod-${(client * 7_919 + turn * 31) % operation.pods}`
      return ask(`${podsPath(namespaceOf(operation.pods))}/${name}${operation.cached ? '?resourceVersion=0' : ''}`)
    }
    case 'list':
      return ask(`${podsPath(namespaceOf(operation.pods))}?resourceVersion=0`)
    case 'create': {
      const name = `made-${operation.run}-${client}-${turn}`
      return send('POST', podsPath(scratch), pod(name, 0, operation.alike ? '' : name))
    }
    case 'store':
      return send('POST', `${storePath}${operation.run}-${client}-${turn}`, operation.value)
    case 'update':
      return send('PUT', `${podsPath(own)}/own-${client}`, pod(`own-${client}`, turn))
    case 'patch': {
      const body = `{"metadata":{"labels":{"turn":"${turn}"}}}`
      return send('PATCH', `${podsPath(own)}/own-${client}`, body, 'application/merge-patch+json')
    }
  }
}
