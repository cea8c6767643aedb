// The status of a ValidatingAdmissionPolicy says what its expressions get wrong, once for each generation.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { policyStatusController } from '../../src/controllers/policystatus.ts'
import { runControllers } from '../../src/controllers/run.ts'
import { customApi, definition, until } from '../apiserver/definitions.ts'
import { inputs } from './cluster.ts'

let api: Awaited<ReturnType<typeof customApi>>
let running: Promise<void>

beforeAll(async () => {
  api = await customApi()
  running = runControllers(api.world, api.client, inputs(), [policyStatusController], api.signal)
})
afterAll(async () => {
  api.stop()
  await running
})

const url = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies'
const rule = (group: string, resource: string) => ({
  apiGroups: [group],
  apiVersions: ['v1'],
  operations: ['*'],
  resources: [resource],
})
const specOf = (resourceRule: object, ...expressions: string[]) => ({
  matchConstraints: { resourceRules: [resourceRule] },
  validations: expressions.map(expression => ({ expression })),
})
const make = (name: string, spec: object) => api.ask(url, { body: { metadata: { name }, spec } })
const observed = (name: string, generation: number) =>
  until(
    () => api.ask(`${url}/${name}`),
    ({ body }) => body.status?.observedGeneration === generation,
  )

test('it is there after a create and after a change, and stays as it is otherwise', async () => {
  const made = await make('p', specOf(rule('apps', 'deployments'), 'object.replicas > 1'))
  expect(made.body.metadata.generation).toBe(1)
  expect((await observed('p', 1)).body.status).toEqual({
    observedGeneration: 1,
    typeChecking: {
      expressionWarnings: [
        {
          fieldRef: 'spec.validations[0].expression',
          warning: expect.stringContaining("apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'"),
        },
      ],
    },
  })
  const patch = (body: object) => api.ask(`${url}/p`, { method: 'PATCH', body })
  await patch({ spec: specOf(rule('apps', 'deployments'), 'object.spec.replicas > 1') })
  expect((await observed('p', 2)).body.status).toEqual({ observedGeneration: 2, typeChecking: {} })
  const labelled = await patch({ metadata: { labels: { a: 'b' } } })
  // What comes after it is looked at, and it is left alone.
  await make('q', specOf(rule('apps', 'deployments'), 'true'))
  await observed('q', 1)
  expect((await api.ask(`${url}/p`)).body.metadata.resourceVersion).toBe(labelled.body.metadata.resourceVersion)
})

test('what was defined before the policy is known by then', async () => {
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', properties: { size: { type: 'integer' } } } },
  }
  await api.define(definition('crontabs', 'CronTab', [{ schema }]))
  const crontabs = rule('stable.example.com', 'crontabs')
  await make('crons', specOf(crontabs, 'object.spec.size > 1', 'object.spec.sise > 1'))
  expect((await observed('crons', 1)).body.status.typeChecking.expressionWarnings).toEqual([
    { fieldRef: 'spec.validations[1].expression', warning: expect.stringContaining("undefined field 'sise'") },
  ])
})
