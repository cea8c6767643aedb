// An API server with the controllers that look after what somebody defined, and definitions to try it with.
import { definitionCleanupController, definitionNamesController } from '../../src/controllers/definition.ts'
import { garbageController } from '../../src/controllers/garbage.ts'
import { defaultControllerConfig, type Inputs } from '../../src/controllers/inputs.ts'
import { namespaceController } from '../../src/controllers/namespace.ts'
import { runControllers } from '../../src/controllers/run.ts'
import { type Asking, asking } from './ask.ts'
import { request, testApiserver } from './setup.ts'

type Api = Pick<Awaited<ReturnType<typeof testApiserver>>, 'apiserver' | 'client' | 'world' | 'signal'>

const inputs: Inputs = {
  peerOf: () => undefined,
  apiAddresses: () => [],
  caPem: '',
  config: defaultControllerConfig,
  startedAtMs: 0,
}

/** Ends with the API server. */
export function controlled<T extends Api>(api: T): T {
  const controllers = [definitionNamesController, definitionCleanupController, garbageController, namespaceController]
  void runControllers(api.world, api.client, inputs, controllers, api.signal)
  return api
}

export async function customApi() {
  const api = controlled(await testApiserver())
  const ask = asking(api)
  return { ...api, ask, define: (definition: object) => define(ask, definition) }
}

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
export const definitionUrl = (name: string): string => `${definitions}/${name}`

/** Asks until the answer is as wanted. */
export async function until<T>(look: () => Promise<T>, wanted: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look()
    if (wanted(found)) return found
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Creates a definition and waits until it is established. */
export async function define(ask: Asking, definition: object) {
  const made = await ask(definitions, { body: definition })
  if (made.code !== 201) throw new Error(`${made.code}: ${made.message}`)
  return await until(
    () => ask(definitionUrl(made.body.metadata.name)),
    ({ body }) => has(body, 'Established', 'True'),
  )
}

type Conditioned = { readonly status?: { readonly conditions?: readonly { type: string; status: string }[] } }
export function has(object: Conditioned, type: string, status: string): boolean {
  return object.status?.conditions?.some(one => one.type === type && one.status === status) ?? false
}

type Version = {
  readonly name?: string
  readonly schema?: object
  readonly served?: boolean
  readonly storage?: boolean
  readonly [key: string]: unknown
}

/** A definition of the plural in a group; each version is served, and the first one stored, unless it says otherwise. */
export function definition(
  plural: string,
  kind: string,
  versions: readonly Version[],
  more: object = {},
  names: object = {},
) {
  const group = 'stable.example.com'
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, ...names },
      versions: versions.map(({ name = 'v1', schema, ...rest }, i) => ({
        name,
        served: true,
        storage: i === 0,
        schema: { openAPIV3Schema: schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        ...rest,
      })),
      ...more,
    },
  }
}

export const crontabSchema = {
  type: 'object',
  description: 'CronTab runs a command at given times.',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      description: 'What is wanted.',
      required: ['cronSpec'],
      properties: {
        cronSpec: { type: 'string', pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$', description: 'When.' },
        image: { type: 'string', enum: ['small', 'large'] },
        replicas: { type: 'integer', minimum: 1, maximum: 10, default: 1 },
        ports: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['port', 'protocol'],
          items: {
            type: 'object',
            required: ['port'],
            properties: {
              port: { type: 'integer' },
              protocol: { type: 'string', default: 'TCP' },
              name: { type: 'string' },
            },
          },
        },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        limit: { 'x-kubernetes-int-or-string': true },
      },
    },
    status: {
      type: 'object',
      properties: { replicas: { type: 'integer' }, selector: { type: 'string' }, phase: { type: 'string' } },
    },
  },
}

export const crontabs = (more: Version = {}) =>
  definition(
    'crontabs',
    'CronTab',
    [
      {
        schema: crontabSchema,
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.replicas',
            statusReplicasPath: '.status.replicas',
            labelSelectorPath: '.status.selector',
          },
        },
        additionalPrinterColumns: [
          { name: 'Spec', type: 'string', jsonPath: '.spec.cronSpec', description: 'When it runs.' },
          { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
          { name: 'Phase', type: 'string', jsonPath: '.status.phase', priority: 1 },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        selectableFields: [{ jsonPath: '.spec.image' }, { jsonPath: '.spec.replicas' }],
        ...more,
      },
    ],
    {},
    { shortNames: ['ct'], categories: ['all'] },
  )

export const crontabsUrl = '/apis/stable.example.com/v1/namespaces/default/crontabs'
export const crontab = (name: string, spec: object = {}, more: object = {}) => ({
  apiVersion: 'stable.example.com/v1',
  kind: 'CronTab',
  metadata: { name },
  spec: { cronSpec: '* * * * */5', ...spec },
  ...more,
})

export { request }
