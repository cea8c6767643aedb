// A kind that nothing acts on says so to whoever makes one, and none says so that something acts on.
import { expect, test } from 'vitest'
import { resourceOf } from '../../src/api/kind.ts'
import { kinds } from '../../src/api/kinds.ts'
import { controllers } from '../../src/controllers/all.ts'
import { itself } from '../../src/controllers/controller.ts'

/** What these do is not what the kind is for: they keep and clear away. */
const keepers = new Set(['pvc-protection', 'ipaddress'])

test('who warns that no controller acts on it has none', () => {
  const acted = controllers
    .filter(({ name }) => !keepers.has(name))
    .flatMap(({ reads }) => (reads[itself] === undefined ? [] : [resourceOf(reads[itself])]))
  expect(kinds.filter(({ caution }) => caution !== undefined).filter(kind => acted.includes(resourceOf(kind)))).toEqual(
    [],
  )
})

test('kinds of workloads without a controller warn', () => {
  const acted = new Set(
    controllers.flatMap(({ reads }) => (reads[itself] === undefined ? [] : [resourceOf(reads[itself])])),
  )
  const workloads = ['deployments.apps', 'replicasets.apps', 'daemonsets.apps', 'statefulsets.apps', 'jobs.batch']
  const more = ['cronjobs.batch', 'replicationcontrollers', 'horizontalpodautoscalers.autoscaling']
  const silent = kinds
    .filter(kind => [...workloads, ...more].includes(resourceOf(kind)))
    .filter(kind => !acted.has(resourceOf(kind)) && kind.caution === undefined)
  expect(silent.map(resourceOf)).toEqual([])
})
