// What may be written as the status of a Job, whoever controls it (kubernetes-api.md A: job).
import { describe, expect, test } from 'vitest'
import { oneApi, patch, post, put } from './wire.ts'

const at = '/apis/batch/v1/namespaces/default/jobs'
const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'work:1' }] } }
const indexed = { completionMode: 'Indexed', completions: 5, parallelism: 5 }
const limited = { ...indexed, backoffLimitPerIndex: 1 }
const policed = { ...indexed, successPolicy: { rules: [{ succeededCount: 1 }] } }

const [first, later] = ['2026-01-02T03:04:05Z', '2026-01-02T03:05:05Z']
const are = (...types: readonly string[]) => ({ conditions: types.map(type => ({ type, status: 'True' })) })
const begun = { startTime: first }
const met = { ...begun, ...are('SuccessCriteriaMet') }
const doomed = { ...begun, ...are('FailureTarget') }
const done = { ...begun, completionTime: later, ...are('SuccessCriteriaMet', 'Complete') }
const lost = { ...begun, ...are('FailureTarget', 'Failed') }
const wrongConditions = (...words: readonly string[]) => words.map(word => `status.conditions: Invalid value: ${word}`)

describe('job status', () => {
  const one = oneApi()
  let count = 0

  /** A job with this status before, and what is told of the next one. */
  async function told(spec: object, before: object | undefined, status: object): Promise<readonly string[]> {
    const name = `job-${count++}`
    const made = await post(one.api, at, { metadata: { name }, spec: { template, ...spec } })
    expect([made.code, made.body.message]).toEqual([201, undefined])
    const object = { ...made.body, metadata: { name } }
    if (before) {
      const held = await put(one.api, `${at}/${name}/status`, { ...object, status: before })
      expect([held.code, held.body.message]).toEqual([200, undefined])
    }
    const { code, body } = await put(one.api, `${at}/${name}/status`, { ...object, status })
    const causes = body.details?.causes ?? []
    expect(code).toBe(causes.length === 0 ? 200 : 422)
    return causes.map(({ field = '', message }) => `${field}: ${message}`)
  }

  test.each<[string, object, object | undefined, object]>([
    ['begins', {}, undefined, begun],
    ['meets its criteria, and completes', {}, met, done],
    ['completes at once', {}, undefined, done],
    ['is going to fail, and fails', {}, doomed, lost],
    ['loses the start of its time while it is suspended', { suspend: true }, begun, {}],
    ['completes without having begun, being suspended', { suspend: true }, undefined, { ...done, startTime: null }],
    ['has fewer successes when it shrinks', indexed, { succeeded: 3 }, { succeeded: 2 }],
    ['says which indexes are done', limited, undefined, { completedIndexes: '0-2,4', failedIndexes: '3' }],
    [
      'has conditions of others',
      {},
      done,
      { ...done, conditions: [...done.conditions, { type: 'My', status: 'True' }] },
    ],
  ])('a job %s', async (_, spec, before, status) => {
    expect(await told(spec, before, status)).toEqual([])
  })

  test.each<[string, object, object | undefined, object, readonly string[]]>([
    [
      'counts below zero',
      {},
      undefined,
      { active: -1, succeeded: -1, failed: -1, ready: -1, terminating: -1 },
      expect.arrayContaining(
        ['active', 'succeeded', 'failed', 'ready', 'terminating'].map(
          field => `status.${field}: Invalid value: -1: must be greater than or equal to 0`,
        ),
      ),
    ],
    [
      'more ready than active',
      {},
      undefined,
      { active: 1, ready: 2 },
      ['status.ready: Invalid value: 2: cannot set more ready pods than active'],
    ],
    [
      'fewer failures than before',
      {},
      { failed: 3 },
      { failed: 1 },
      ['status.failed: Invalid value: 1: cannot decrease the failed counter'],
    ],
    [
      'fewer successes than before',
      {},
      { succeeded: 3 },
      { succeeded: 1 },
      ['status.succeeded: Invalid value: 1: cannot decrease the succeeded counter'],
    ],
    [
      'a pod noted twice, or none',
      {},
      undefined,
      { uncountedTerminatedPods: { succeeded: ['a'], failed: ['a', ''] } },
      [
        'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
        'status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty',
      ],
    ],
    [
      'complete and failed',
      {},
      undefined,
      { ...done, ...are('Complete', 'Failed', 'FailureTarget') },
      wrongConditions(
        'cannot set Complete=True and Failed=true conditions',
        'cannot set Complete=True and FailureTarget=true conditions',
        'cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
      ),
    ],
    [
      'failed unannounced',
      {},
      begun,
      { ...begun, ...are('Failed') },
      wrongConditions('cannot set Failed=True condition without the FailureTarget=true condition'),
    ],
    [
      'complete unannounced, against its policy',
      policed,
      begun,
      { ...done, ...are('Complete') },
      wrongConditions(
        'cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
        'cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True',
      ),
    ],
    [
      'bound for both ends',
      {},
      doomed,
      { ...begun, ...are('FailureTarget', 'SuccessCriteriaMet') },
      wrongConditions('cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'),
    ],
    [
      'no longer failed',
      {},
      lost,
      begun,
      wrongConditions(
        'cannot disable the terminal Failed=True condition',
        'cannot disable the terminal FailureTarget=True condition',
      ),
    ],
    [
      'no longer complete',
      {},
      done,
      begun,
      wrongConditions(
        'cannot disable the terminal Complete=True condition',
        'cannot disable the SuccessCriteriaMet=True condition',
      ),
    ],
    [
      'an end of a job that runs',
      {},
      begun,
      { ...begun, completionTime: later },
      [
        `status.completionTime: Invalid value: "${later}": cannot set completionTime when there is no Complete=True condition`,
      ],
    ],
    [
      'complete at no time',
      {},
      met,
      { ...done, completionTime: null },
      ['status.completionTime: Required value: completionTime is required for Complete jobs'],
    ],
    [
      'an end before the beginning',
      {},
      { ...met, startTime: later },
      { ...done, startTime: later, completionTime: first },
      [`status.completionTime: Invalid value: "${first}": completionTime cannot be set before startTime`],
    ],
    [
      'another end',
      {},
      done,
      { ...done, completionTime: '2027-01-02T03:04:05Z' },
      ['status.completionTime: Invalid value: "2027-01-02T03:04:05Z": completionTime cannot be mutated'],
    ],
    [
      'another beginning',
      {},
      begun,
      { startTime: later },
      ['status.startTime: Required value: startTime cannot be removed for unsuspended job'],
    ],
    [
      'an end while pods run',
      {},
      { ...doomed, active: 1, terminating: 1, uncountedTerminatedPods: { failed: ['a'] } },
      { ...lost, active: 1, terminating: 1, uncountedTerminatedPods: { failed: ['a'] } },
      [
        'status.active: Invalid value: 1: active>0 is invalid for finished job',
        'status.uncountedTerminatedPods: Invalid value: {"failed":["a"]}: uncountedTerminatedPods needs to be empty for finished job',
        'status.terminating: Invalid value: 1: terminating>0 is invalid for finished job',
      ],
    ],
    [
      'an end of what has not begun',
      {},
      undefined,
      { ...lost, startTime: null },
      ['status.startTime: Required value: startTime is required for finished job'],
    ],
    [
      'indexes in no order',
      limited,
      undefined,
      { completedIndexes: '2,1', failedIndexes: '9' },
      [
        'status.completedIndexes: Invalid value: "2,1": error parsing completedIndexes: non-increasing order, previous: 2, current: 1',
        'status.failedIndexes: Invalid value: "9": error parsing failedIndexes: too large index: "9"',
      ],
    ],
    [
      'an index that failed and succeeded',
      limited,
      { completedIndexes: '0-1', failedIndexes: '3' },
      { completedIndexes: '0-3', failedIndexes: '3' },
      ['status.failedIndexes: Invalid value: "3": failedIndexes and completedIndexes overlap at index: 3'],
    ],
    [
      'indexes where there are none',
      {},
      undefined,
      { completedIndexes: '0', failedIndexes: '' },
      [
        'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode',
        'status.failedIndexes: Invalid value: "": cannot set non-null failedIndexes when backoffLimitPerIndex is null',
      ],
    ],
  ])('%s: refused', async (_, spec, before, status, causes) => {
    expect(await told(spec, before, status)).toEqual(causes)
  })

  test('what a change of the spec has overtaken does not keep the rest from being written', async () => {
    const { body } = await post(one.api, at, { metadata: { name: 'shrunk' }, spec: { template, ...indexed } })
    const object = { ...body, metadata: { name: 'shrunk' } }
    const status = { completedIndexes: '0-4', succeeded: 5 }
    expect((await put(one.api, `${at}/shrunk/status`, { ...object, status })).code).toBe(200)
    const spec = { completions: 3, parallelism: 3 }
    expect((await patch(one.api, `${at}/shrunk`, 'merge', { spec })).code).toBe(200)
    const next = { ...status, failed: 1 }
    expect((await put(one.api, `${at}/shrunk/status`, { ...object, status: next })).code).toBe(200)
    const refused = await put(one.api, `${at}/shrunk/status`, {
      ...object,
      status: { ...next, completedIndexes: '0,4' },
    })
    expect(refused.body.details?.causes).toMatchObject([{ field: 'status.completedIndexes' }])
  })
})
