// The API of Jobs and CronJobs as the official suite uses it, and what is refused before a controller sees it.
import { describe, expect, test } from 'vitest'
import { jobController } from '../../../src/controllers/job.ts'
import { beside, ownerOf, patience } from './beside.ts'
import { walkThrough } from './operations.ts'
import { ask, oneApi, patch, post, put } from './wire.ts'

const batch = { root: '/apis/batch/v1', namespace: 'default' }
const inBatch = '/apis/batch/v1/namespaces/default'
const inCore = '/api/v1/namespaces/default'
const selector = { matchLabels: { app: 'web' } }
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web:1' }] } }
const once = { spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'work:1' }] } }
const second = () => `${new Date().toISOString().slice(0, 19)}Z`

describe('cronjob', () => {
  const cron = (name: string, more: object = {}) => ({
    metadata: { name },
    spec: { schedule: '*/1 * * * *', suspend: true, jobTemplate: { spec: { template: once } }, ...more },
  })
  walkThrough({
    ...batch,
    resource: 'cronjobs',
    kind: 'CronJob',
    shortNames: ['cj'],
    subresources: ['status'],
    make: i => cron(`cron-${i}`),
    change: { spec: { successfulJobsHistoryLimit: 10 } },
    status: {
      patch: { lastScheduleTime: '2026-01-02T03:04:05Z' },
      expected: { lastScheduleTime: '2026-01-02T03:04:05Z' },
    },
    columns: ['Name', 'Schedule', 'Timezone', 'Suspend', 'Active', 'Last Schedule', 'Age'],
    cells: ['cron-0', '*/1 * * * *', '<none>', 'True', 0, '<none>', 'work', 'work:1', '<none>'],
  })
  const one = oneApi()
  const at = `${inBatch}/cronjobs`

  test('has its defaults, and its template those of a pod alone', async () => {
    const { body } = await post(one.api, at, { ...cron('plain'), metadata: { generateName: 'plain-' } })
    expect(body.metadata.name).toMatch(/^plain-[a-z0-9]{5}$/)
    expect(body['spec']).toMatchObject({
      concurrencyPolicy: 'Allow',
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    })
    const { jobTemplate } = body['spec'] as { jobTemplate: { spec: object } }
    expect(Object.keys(jobTemplate.spec)).toEqual(['template'])
    expect(jobTemplate.spec).toMatchObject({ template: { spec: { dnsPolicy: 'ClusterFirst', securityContext: {} } } })
  })

  test.each<[string, object, string]>([
    ['spec.schedule', { schedule: '60 * * * *' }, 'end of range (60) above maximum (59): 60'],
    [
      'spec.schedule',
      { schedule: 'TZ=UTC 0 * * * *' },
      'cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
    ],
    ['spec.timeZone', { timeZone: 'Nowhere/City' }, 'unknown time zone Nowhere/City'],
    ['spec.timeZone', { timeZone: '../etc' }, 'unknown time zone ../etc'],
    ['spec.timeZone', { timeZone: 'Local' }, 'timeZone must be an explicit time zone'],
    ['spec.timeZone', { timeZone: '' }, 'timeZone must be nil or non-empty string'],
    ['spec.concurrencyPolicy', { concurrencyPolicy: 'Sometimes' }, 'supported values: "Allow", "Forbid", "Replace"'],
    ['spec.startingDeadlineSeconds', { startingDeadlineSeconds: -1 }, 'must be greater than or equal to 0'],
    [
      'spec.jobTemplate.spec.selector',
      { jobTemplate: { spec: { template: once, selector } } },
      '`selector` will be auto-generated',
    ],
    [
      'spec.jobTemplate.spec.manualSelector',
      { jobTemplate: { spec: { template: once, manualSelector: true } } },
      'supported values: "false", "nil"',
    ],
    [
      'spec.jobTemplate.spec.template.spec.restartPolicy',
      { jobTemplate: { spec: { template } } },
      'Required value: valid values: "OnFailure", "Never"',
    ],
  ])('%s %j', async (field, spec, why) => {
    const { code, body } = await post(one.api, at, cron('wrong', spec))
    expect([code, body.reason]).toEqual([422, 'Invalid'])
    expect(body.details?.causes).toContainEqual({
      reason: expect.any(String),
      field,
      message: expect.stringContaining(why),
    })
  })

  test('takes the time zones that there are', async () => {
    for (const [i, timeZone] of ['Europe/Berlin', 'Etc/UTC', 'America/Argentina/Ushuaia', 'US/Pacific'].entries()) {
      expect((await post(one.api, at, cron(`zone-${i}`, { timeZone }))).code).toBe(201)
    }
  })
})

describe('job', () => {
  const job = (name: string, more: object = {}) => ({
    metadata: { name },
    spec: { parallelism: 2, completions: 4, template: once, ...more },
  })
  walkThrough({
    ...batch,
    resource: 'jobs',
    kind: 'Job',
    subresources: ['status'],
    make: i => job(`job-${i}`, { suspend: true }),
    change: { spec: { suspend: false } },
    columns: ['Name', 'Status', 'Completions', 'Duration', 'Age'],
    cells: ['job-0', 'Running', '0/4', '', 'work', 'work:1', expect.stringContaining('controller-uid=')],
  })
  const one = oneApi()
  const at = `${inBatch}/jobs`

  test('its status takes conditions of others, and keeps their times', async () => {
    await post(one.api, at, job('told'))
    const condition = { type: 'CustomConditionType', status: 'True', lastProbeTime: null, lastTransitionTime: second() }
    const patched = await patch(one.api, `${at}/told/status`, 'merge', {
      metadata: { annotations: { patchedstatus: 'true' } },
      status: { conditions: [condition] },
    })
    const { lastProbeTime: _, ...kept } = condition
    expect(patched.body['status']).toMatchObject({ conditions: [kept] })
    expect(patched.body.metadata).toMatchObject({ annotations: { patchedstatus: 'true' } })
    const read = (await ask(one.api, `${at}/told/status`)).body
    const conditions = [{ ...kept, lastTransitionTime: '2026-01-02T03:04:05Z' }]
    const updated = await put(one.api, `${at}/told/status`, { ...read, status: { conditions } })
    expect(updated.body['status']).toMatchObject({ conditions })
  })

  test('selects its pods by its own uid', async () => {
    const { body } = await post(one.api, at, job('own'))
    const { uid } = body.metadata
    const { selector: own, template: made } = body['spec'] as { selector: object; template: { metadata: object } }
    expect(own).toEqual({ matchLabels: { 'batch.kubernetes.io/controller-uid': uid } })
    expect(made.metadata).toEqual({
      labels: {
        'batch.kubernetes.io/controller-uid': uid,
        'batch.kubernetes.io/job-name': 'own',
        'controller-uid': uid,
        'job-name': 'own',
      },
    })
  })

  const rule = (more: object) => ({ podFailurePolicy: { rules: [more] } })
  const indexed = { completionMode: 'Indexed' }
  const succeeds = (more: object) => ({ ...indexed, successPolicy: { rules: [more] } })
  test.each<[string, object, string]>([
    ['spec.selector', { selector }, '`selector` not auto-generated'],
    [
      'spec.template.metadata.labels',
      { selector, manualSelector: true },
      '`selector` does not match template `labels`',
    ],
    ['spec.completions', { ...indexed, completions: null }, 'when completion mode is Indexed'],
    ['spec.parallelism', { ...indexed, parallelism: 100_001 }, 'must be less than or equal to 100000'],
    [
      'spec.maxFailedIndexes',
      { ...indexed, backoffLimitPerIndex: 1, maxFailedIndexes: 5 },
      'less than or equal to completions',
    ],
    ['spec.backoffLimitPerIndex', { ...indexed, maxFailedIndexes: 1 }, 'when maxFailedIndexes is specified'],
    ['spec.maxFailedIndexes', { maxFailedIndexes: 1, backoffLimitPerIndex: 1 }, 'requires indexed completion mode'],
    ['spec.managedBy', { managedBy: 'me' }, 'must be a domain-prefixed path'],
    [
      'spec.podReplacementPolicy',
      {
        ...rule({ action: 'FailJob', onExitCodes: { operator: 'In', values: [1] } }),
        podReplacementPolicy: 'TerminatingOrFailed',
      },
      'supported values: "Failed"',
    ],
    [
      'spec.podFailurePolicy.rules[0]',
      rule({ action: 'FailJob' }),
      'specifying one of OnExitCodes and OnPodConditions is required',
    ],
    [
      'spec.podFailurePolicy.rules[0].action',
      rule({ action: 'Panic', onExitCodes: { operator: 'In', values: [1] } }),
      'supported values: "Count", "FailIndex", "FailJob", "Ignore"',
    ],
    [
      'spec.podFailurePolicy.rules[0].action',
      rule({ action: 'FailIndex', onExitCodes: { operator: 'In', values: [1] } }),
      'requires the backoffLimitPerIndex to be set',
    ],
    [
      'spec.podFailurePolicy.rules[0].onExitCodes.values[0]',
      rule({ action: 'FailJob', onExitCodes: { operator: 'In', values: [0] } }),
      'must not be 0 for the In operator',
    ],
    [
      'spec.podFailurePolicy.rules[0].onExitCodes.values',
      rule({ action: 'FailJob', onExitCodes: { operator: 'NotIn', values: [2, 1] } }),
      'must be ordered',
    ],
    [
      'spec.podFailurePolicy.rules[0].onExitCodes.containerName',
      rule({ action: 'FailJob', onExitCodes: { containerName: 'other', operator: 'In', values: [1] } }),
      'must be one of the container or initContainer names',
    ],
    [
      'spec.podFailurePolicy.rules[0].onPodConditions[0].status',
      rule({ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'Perhaps' }] }),
      'supported values: "False", "True", "Unknown"',
    ],
    ['spec.successPolicy', { successPolicy: { rules: [{ succeededCount: 1 }] } }, 'requires indexed completion mode'],
    [
      'spec.successPolicy.rules[0]',
      succeeds({}),
      'at least one of succeededCount or succeededIndexes must be specified',
    ],
    [
      'spec.successPolicy.rules[0].succeededIndexes',
      succeeds({ succeededIndexes: '0-9' }),
      'error parsing succeededIndexes: too large index: "9"',
    ],
    [
      'spec.successPolicy.rules[0].succeededIndexes',
      succeeds({ succeededIndexes: '2,1' }),
      'non-increasing order, previous: 2, current: 1',
    ],
    [
      'spec.successPolicy.rules[0].succeededIndexes',
      succeeds({ succeededIndexes: '1-1' }),
      'non-increasing order, previous: 1, current: 1',
    ],
    [
      'spec.successPolicy.rules[0].succeededIndexes',
      succeeds({ succeededIndexes: 'x' }),
      'cannot convert string to integer for index: "x"',
    ],
    [
      'spec.successPolicy.rules[0].succeededCount',
      succeeds({ succeededIndexes: '0-1', succeededCount: 3 }),
      'the number of indexes in the specified succeededIndexes field',
    ],
    [
      'spec.successPolicy.rules[0].succeededCount',
      succeeds({ succeededCount: 5 }),
      'must be less than or equal to 4 (the number of specified completions)',
    ],
  ])('%s %j', async (field, spec, why) => {
    const { code, body } = await post(one.api, at, job('wrong', spec))
    expect([code, body.reason]).toEqual([422, 'Invalid'])
    expect(body.details?.causes).toContainEqual({
      reason: expect.any(String),
      field,
      message: expect.stringContaining(why),
    })
  })

  test('a name that leaves no room for the index of its last pod is refused', async () => {
    const { body } = await post(one.api, at, job('j'.repeat(62), { ...indexed, completions: 11 }))
    expect(body.details?.causes?.[0]).toMatchObject({ field: 'metadata.name' })
  })

  test('policies that make sense are taken, and stay', async () => {
    const podFailurePolicy = {
      rules: [
        { action: 'FailIndex', onExitCodes: { containerName: 'work', operator: 'In', values: [1, 42] } },
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ],
    }
    const successPolicy = { rules: [{ succeededIndexes: '0,2-3', succeededCount: 2 }] }
    const spec = { ...indexed, podFailurePolicy, successPolicy, backoffLimitPerIndex: 1, managedBy: 'example.com/mine' }
    const { code, body } = await post(one.api, at, job('policies', spec))
    expect([code, body['spec']]).toEqual([201, expect.objectContaining(spec)])
    const { body: refused } = await patch(one.api, `${at}/policies`, 'merge', {
      spec: { managedBy: 'example.com/other' },
    })
    expect(refused.details?.causes).toMatchObject([{ field: 'spec.managedBy' }])
    const grown = await patch(one.api, `${at}/policies`, 'merge', { spec: { completions: 6 } })
    expect(grown.body.message).toContain('can only be modified in tandem with spec.parallelism')
    const together = await patch(one.api, `${at}/policies`, 'merge', { spec: { completions: 6, parallelism: 6 } })
    expect(together.code).toBe(200)
  })
})

describe('job and its pods', () => {
  test('adopts a pod that lost its owner, and releases one that lost its labels', async () => {
    await using running = await beside([jobController])
    const { api } = running
    const made = await post(api, `${inBatch}/jobs`, {
      metadata: { name: 'adopter' },
      spec: { parallelism: 2, completions: 4, template: once },
    })
    const { uid } = made.body.metadata
    const found = async () => (await ask(api, `${inCore}/pods?labelSelector=job-name%3Dadopter`)).body.items
    await expect.poll(async () => (await found()).length, patience).toBe(2)
    const name = (await found())[0]?.metadata.name ?? ''
    expect(await ownerOf(api, name)).toBe(uid)
    await patch(api, `${inCore}/pods/${name}`, 'merge', { metadata: { ownerReferences: null } })
    await expect.poll(() => ownerOf(api, name), patience).toBe(uid)
    await patch(api, `${inCore}/pods/${name}`, 'merge', { metadata: { labels: null } })
    await expect.poll(() => ownerOf(api, name), patience).toBeUndefined()
    await expect.poll(async () => (await found()).length, patience).toBe(2)
  })
})
