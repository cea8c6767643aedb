import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import { event } from '../../src/api/kinds/event.ts'
import { type Job, job } from '../../src/api/kinds/job.ts'
import { type Pod, pod } from '../../src/api/kinds/pod.ts'
import { garbageController } from '../../src/controllers/garbage.ts'
import { jobController } from '../../src/controllers/job.ts'
import { formatIndexes, parseIndexes } from '../../src/controllers/jobindexes.ts'
import { rfc3339 } from '../../src/lib/duration.ts'
import { asReady, type Cluster, cluster } from './cluster.ts'

async function start(
  c: Cluster,
  spec: Partial<Job['spec']> = {},
  restartPolicy: 'Never' | 'OnFailure' = 'Never',
): Promise<void> {
  await c.client.create(
    job,
    {
      metadata: { name: 'sum', namespace: 'default' },
      spec: { template: { spec: { restartPolicy, containers: [{ name: 'c', image: 'i' }] } }, ...spec },
    },
    c.signal,
  )
  await c.world.pass(100)
}

const get = (c: Cluster) => c.client.find(job, 'sum') as Job
const active = (c: Cluster) =>
  c.client
    .all(pod)
    .filter(
      one =>
        one.status.phase !== 'Succeeded' &&
        one.status.phase !== 'Failed' &&
        one.metadata.deletionTimestamp === undefined,
    )
const conditions = (c: Cluster) =>
  (get(c).status.conditions ?? []).filter(one => one.status === 'True').map(one => `${one.type}:${one.reason}`)
const indexes = (pods: readonly Pod[]) =>
  pods.map(one => one.metadata.annotations?.['batch.kubernetes.io/job-completion-index'])

function end(c: Cluster, one: Pod, exitCode: number): void {
  const finishedAt = rfc3339(c.world.clock.nowMs())
  const terminated = { exitCode, finishedAt }
  const status = { name: 'c', ready: false, restartCount: 0, image: 'i', imageID: 'i', state: { terminated } }
  const phase = exitCode === 0 ? ('Succeeded' as const) : ('Failed' as const)
  c.client.change(
    pod,
    one,
    old => ({ ...old, status: { ...old.status, phase, containerStatuses: [status] } }),
    'status',
  )
}

async function endAll(c: Cluster, exitCode: number): Promise<void> {
  for (const one of active(c)) end(c, one, exitCode)
  await c.world.pass(100)
}

test('runs as many at once as it may, until as many succeeded as it should', async () => {
  await using c = cluster([jobController])
  await start(c, { parallelism: 2, completions: 5 })
  let most = 0
  for (let i = 0; i < 10 && conditions(c).length === 0; i++) {
    most = Math.max(most, active(c).length)
    await endAll(c, 0)
  }
  expect(most).toBe(2)
  expect(conditions(c)).toEqual(['SuccessCriteriaMet:CompletionsReached', 'Complete:CompletionsReached'])
  expect(get(c).status).toMatchObject({ succeeded: 5, ready: 0, terminating: 0 })
  expect(get(c).status.completionTime).toBeDefined()
  expect(get(c).status.active).toBeUndefined()
  expect(c.client.all(pod)).toHaveLength(5)
  expect(c.client.all(pod).flatMap(one => one.metadata.finalizers ?? [])).toEqual([])
  expect(c.client.all(event).map(one => one.reason)).toContain('Completed')
})

test('failures are tried again with growing pauses, up to the limit', async () => {
  await using c = cluster([jobController])
  await start(c, { backoffLimit: 2 })
  await endAll(c, 1)
  expect(active(c)).toHaveLength(0)
  await c.world.pass(10_000)
  expect(active(c)).toHaveLength(1)
  await endAll(c, 1)
  await c.world.pass(15_000)
  expect(active(c)).toHaveLength(0)
  await c.world.pass(6_000)
  expect(active(c)).toHaveLength(1)
  await endAll(c, 1)
  await c.world.pass(1_000)
  expect(conditions(c)).toEqual(['FailureTarget:BackoffLimitExceeded', 'Failed:BackoffLimitExceeded'])
  expect(get(c).status.failed).toBe(3)
})

test('past its deadline it stops what runs and has failed only when that is gone', async () => {
  await using c = cluster([jobController])
  await start(c, { activeDeadlineSeconds: 30, parallelism: 2, completions: 4 })
  for (const one of active(c)) {
    await c.client.post(
      pod,
      { namespace: 'default', name: one.metadata.name },
      'binding',
      { target: { name: 'n' } },
      c.signal,
    )
    const bound = c.client.find(pod, one.metadata.name)
    if (bound) c.client.change(pod, bound, old => asReady(old, c.world.clock.nowMs()), 'status')
  }
  await c.world.pass(31_000)
  expect(conditions(c)).toEqual(['FailureTarget:DeadlineExceeded'])
  for (const one of c.client.all(pod))
    await c.client.delete(pod, { namespace: 'default', name: one.metadata.name }, { gracePeriodSeconds: 0 }, c.signal)
  await c.world.pass(1_000)
  expect(conditions(c)).toEqual(['FailureTarget:DeadlineExceeded', 'Failed:DeadlineExceeded'])
  expect(c.client.all(pod)).toEqual([])
  expect(get(c).status.failed).toBe(2)
})

test('an indexed Job gives each pod its index, again after a failure, and says which are done', async () => {
  await using c = cluster([jobController])
  await start(c, { completionMode: 'Indexed', completions: 4, parallelism: 3 })
  expect(indexes(active(c))).toEqual(['0', '1', '2'])
  const [first, second, third] = active(c)
  expect(first?.spec.hostname).toBe('sum-0')
  expect(first?.metadata.name).toMatch(/^sum-0-/)
  expect(first?.spec.containers[0]?.env?.[0]?.name).toBe('JOB_COMPLETION_INDEX')
  if (first && second && third) {
    end(c, first, 0)
    end(c, second, 1)
    end(c, third, 0)
  }
  await c.world.pass(11_000)
  expect(get(c).status.completedIndexes).toBe('0,2')
  expect(indexes(active(c)).toSorted()).toEqual(['1', '3'])
  await endAll(c, 0)
  expect(get(c).status.completedIndexes).toBe('0-3')
  expect(conditions(c)).toEqual(['SuccessCriteriaMet:CompletionsReached', 'Complete:CompletionsReached'])
})

test('backoffLimitPerIndex lets the other indexes finish', async () => {
  await using c = cluster([jobController])
  await start(c, { completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 1 })
  for (let i = 0; i < 2; i++) {
    const bad = active(c).find(one => indexes([one])[0] === '1')
    if (bad) end(c, bad, 1)
    await c.world.pass(25_000)
  }
  expect(get(c).status.failedIndexes).toBe('1')
  expect(conditions(c)).toEqual([])
  await endAll(c, 0)
  await c.world.pass(1_000)
  expect(get(c).status).toMatchObject({ completedIndexes: '0', failedIndexes: '1', failed: 2, succeeded: 1 })
  expect(conditions(c)).toEqual(['FailureTarget:FailedIndexes', 'Failed:FailedIndexes'])
})

test('a success policy ends the Job early', async () => {
  await using c = cluster([jobController])
  await start(c, {
    completionMode: 'Indexed',
    completions: 3,
    parallelism: 3,
    successPolicy: { rules: [{ succeededIndexes: '0' }] },
  })
  const [leader] = active(c)
  if (leader) end(c, leader, 0)
  await c.world.pass(1_000)
  expect(conditions(c)).toEqual(['SuccessCriteriaMet:SuccessPolicy', 'Complete:SuccessPolicy'])
  expect(c.client.all(pod)).toHaveLength(1)
})

test('a pod failure policy ignores some failures and ends the Job on others', async () => {
  await using c = cluster([jobController])
  const rules = [
    { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } },
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  ]
  await start(c, { backoffLimit: 0, podFailurePolicy: { rules } })
  const [first] = active(c)
  const condition = { type: 'DisruptionTarget', status: 'True' as const }
  if (first)
    c.client.change(
      pod,
      first,
      old => ({ ...old, status: { ...old.status, phase: 'Failed' as const, conditions: [condition] } }),
      'status',
    )
  await c.world.pass(30_000)
  expect(conditions(c)).toEqual([])
  expect(get(c).status.failed).toBeUndefined()
  await endAll(c, 42)
  await c.world.pass(1_000)
  expect(conditions(c)).toEqual(['FailureTarget:PodFailurePolicy', 'Failed:PodFailurePolicy'])
  expect(get(c).status.conditions?.at(-1)?.message).toMatch(
    /^Container c for pod default\/sum-\w+ failed with exit code 42 matching FailJob rule at index 0$/,
  )
})

test('suspending stops the pods and the clock; resuming starts both again', async () => {
  await using c = cluster([jobController])
  await start(c, { parallelism: 2, completions: 2 })
  const startTime = get(c).status.startTime
  c.client.change(job, get(c), old => ({ ...old, spec: { ...old.spec, suspend: true } }))
  await c.world.pass(1_000)
  expect(c.client.all(pod)).toEqual([])
  expect(conditions(c)).toEqual(['Suspended:JobSuspended'])
  expect(get(c).status.startTime).toBeUndefined()
  c.client.change(job, get(c), old => ({ ...old, spec: { ...old.spec, suspend: false } }))
  await c.world.pass(60_000)
  expect(active(c)).toHaveLength(2)
  expect(conditions(c)).toEqual([])
  expect(get(c).status.startTime).not.toBe(startTime)
  await endAll(c, 0)
  expect(get(c).status.succeeded).toBe(2)
})

test('with ttlSecondsAfterFinished the Job and its pods go by themselves', async () => {
  await using c = cluster([jobController, garbageController])
  await start(c, { ttlSecondsAfterFinished: 60 })
  await endAll(c, 0)
  await c.world.pass(50_000)
  expect(c.client.all(job)).toHaveLength(1)
  await c.world.pass(20_000)
  expect([c.client.all(job), c.client.all(pod)]).toEqual([[], []])
})

test('deleting a Job in the background lets its pods go', async () => {
  await using c = cluster([jobController, garbageController])
  await start(c, { parallelism: 2, completions: 2 })
  await c.client.delete(job, { namespace: 'default', name: 'sum' }, { propagationPolicy: 'Background' }, c.signal)
  await c.world.pass(5_000)
  expect([c.client.all(job), c.client.all(pod)]).toEqual([[], []])
})

test('every pod is counted exactly once, also when pods are removed early, writes fail and views lag', async () => {
  // A number: the write after so many others is refused.
  const act = fc.oneof(fc.constantFrom('good' as const, 'bad' as const, 'remove' as const), fc.nat(4))
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 30 }), fc.constantFrom(0, 40), async (acts, lagMs) => {
      await using c = cluster([jobController])
      c.client.lagMs = lagMs
      await start(c, { parallelism: 3, completions: 6, backoffLimit: 100 })
      let [good, bad] = [0, 0]
      let refusedIn = -1
      c.client.refuse = () => (refusedIn-- === 0 ? new ApiError('ServiceUnavailable', 'no leader') : undefined)
      for (const act of acts) {
        const [one] = active(c)
        if (typeof act === 'number') refusedIn = act
        else if (one !== undefined && good < 6) {
          if (act === 'remove') {
            refusedIn = -1
            const key = { namespace: 'default', name: one.metadata.name }
            await c.client.delete(pod, key, { gracePeriodSeconds: 0 }, c.signal)
            bad += 1
          } else {
            end(c, one, act === 'good' ? 0 : 1)
            if (act === 'good') good += 1
            else bad += 1
          }
          await c.world.pass(700)
        }
      }
      refusedIn = -1
      await c.world.pass(1_200_000)
      expect([get(c).status.succeeded ?? 0, get(c).status.failed ?? 0]).toEqual([good, bad])
      expect(get(c).status.uncountedTerminatedPods ?? {}).toEqual({})
      expect(active(c).length).toBe(good >= 6 ? 0 : Math.min(3, 6 - good))
    }),
    { numRuns: 40 },
  )
})

test('indexes are written in ranges and read back', () => {
  expect(formatIndexes([7, 1, 3, 4, 5])).toBe('1,3-5,7')
  expect(formatIndexes([0, 1])).toBe('0,1')
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(50)), list => {
      expect([...parseIndexes(formatIndexes(list), 100)].sort((a, b) => a - b)).toEqual(list.toSorted((a, b) => a - b))
    }),
  )
})
