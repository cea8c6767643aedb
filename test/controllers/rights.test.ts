// Roles that gather others' rules, and flow schemas that say whether their level is there.
import { expect, test } from 'vitest'
import { clusterRole } from '../../src/api/kinds/clusterrole.ts'
import { flowSchema } from '../../src/api/kinds/flowschema.ts'
import { priorityLevelConfiguration } from '../../src/api/kinds/prioritylevelconfiguration.ts'
import { clusterRoleController } from '../../src/controllers/clusterrole.ts'
import { flowSchemaController } from '../../src/controllers/flowschema.ts'
import { cluster } from './cluster.ts'

const rule = (resource: string) => ({ verbs: ['get'], apiGroups: [''], resources: [resource] })
const gathers = (label: string) => ({ clusterRoleSelectors: [{ matchLabels: { [label]: 'yes' } }] })

test('a role gathers the rules of those with its label, also of those that gather themselves, each once and in order', async () => {
  await using on = cluster([clusterRoleController])
  const { client, signal, world } = on
  const rulesOf = (name: string) => client.all(clusterRole).find(({ metadata }) => metadata.name === name)?.rules
  const make = (name: string, labels: Readonly<Record<string, string>>, rest: object) =>
    client.create(clusterRole, { metadata: { name, labels }, ...rest }, signal)
  await make('all', {}, { aggregationRule: gathers('to-all') })
  await make('some', { 'to-all': 'yes' }, { aggregationRule: gathers('to-some') })
  await make('b', { 'to-some': 'yes' }, { rules: [rule('b'), rule('shared')] })
  await make('a', { 'to-some': 'yes' }, { rules: [rule('a'), rule('shared')] })
  await make('x', { 'to-all': 'yes' }, { rules: [rule('x')] })
  await make('none', {}, { rules: [rule('none')] })
  await world.pass(5_000)
  expect(rulesOf('some')).toEqual([rule('a'), rule('shared'), rule('b')])
  expect(rulesOf('all')).toEqual([rule('a'), rule('shared'), rule('b'), rule('x')])
  await client.delete(clusterRole, { name: 'a' }, {}, signal)
  await world.pass(5_000)
  expect(rulesOf('all')).toEqual([rule('b'), rule('shared'), rule('x')])
})

test('what somebody has written into the rules of a role that gathers is taken out again', async () => {
  await using on = cluster([clusterRoleController])
  const { client, signal, world } = on
  const role = { metadata: { name: 'all' }, aggregationRule: gathers('to-all'), rules: [rule('mine')] }
  await client.create(clusterRole, role, signal)
  await world.pass(5_000)
  expect(client.all(clusterRole)[0]?.rules ?? []).toEqual([])
})

test('a flow schema says whether its priority level is there, and when it comes and goes', async () => {
  await using on = cluster([flowSchemaController])
  const { client, signal, world } = on
  const spec = { priorityLevelConfiguration: { name: 'l' }, matchingPrecedence: 5 }
  await client.create(flowSchema, { metadata: { name: 's' }, spec }, signal)
  const said = () =>
    client.all(flowSchema)[0]?.status.conditions?.map(({ type, status, reason }) => [type, status, reason])
  await world.pass(2_000)
  expect(said()).toEqual([['Dangling', 'True', 'NotFound']])
  const limited = { nominalConcurrencyShares: 1, limitResponse: { type: 'Reject' as const } }
  await client.create(
    priorityLevelConfiguration,
    { metadata: { name: 'l' }, spec: { type: 'Limited', limited } },
    signal,
  )
  await world.pass(2_000)
  expect(said()).toEqual([['Dangling', 'False', 'Found']])
})
