// The status of a ValidatingAdmissionPolicy says what its expressions get wrong, once for each generation.
import { expect, test } from 'vitest'
import { validatingAdmissionPolicy } from '../../src/api/kinds/validatingadmissionpolicy.ts'
import { policyStatusController } from '../../src/controllers/policystatus.ts'
import { cluster } from './cluster.ts'

test('it is there after a create and after a change, and stays as it is otherwise', async () => {
  await using on = cluster([policyStatusController])
  const { client, signal, world } = on
  const statusOf = () => client.all(validatingAdmissionPolicy)[0]?.status
  const rules = [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['*'], resources: ['deployments'] }]
  const spec = (expression: string) => ({
    matchConstraints: { resourceRules: rules },
    validations: [{ expression }],
  })
  const made = await client.create(
    validatingAdmissionPolicy,
    { metadata: { name: 'p' }, spec: spec('object.replicas > 1') },
    signal,
  )
  expect(made.metadata.generation).toBe(1)
  await world.pass(5_000)
  expect(statusOf()).toEqual({
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
  const body = { spec: spec('object.spec.replicas > 1') }
  await client.patch(validatingAdmissionPolicy, { name: 'p' }, { type: 'merge', body }, signal)
  await world.pass(5_000)
  expect(statusOf()).toEqual({ observedGeneration: 2, typeChecking: {} })
  const { resourceVersion } = client.all(validatingAdmissionPolicy)[0]?.metadata ?? {}
  const labelled = { metadata: { labels: { a: 'b' } } }
  const changed = await client.patch(
    validatingAdmissionPolicy,
    { name: 'p' },
    { type: 'merge', body: labelled },
    signal,
  )
  await world.pass(5_000)
  expect(changed.metadata.resourceVersion).not.toBe(resourceVersion)
  expect(client.all(validatingAdmissionPolicy)[0]?.metadata.resourceVersion).toBe(changed.metadata.resourceVersion)
})
