// What ReplicationControllers, quotas, limit ranges, runtime classes and events refuse, and where.
import { describe, expect, test } from 'vitest'
import type { Kind, KubeObject } from '../../src/api/kind.ts'
import { event } from '../../src/api/kinds/event.ts'
import { limitRange } from '../../src/api/kinds/limitrange.ts'
import { replicationController } from '../../src/api/kinds/replicationcontroller.ts'
import { resourceQuota } from '../../src/api/kinds/resourcequota.ts'
import { runtimeClass } from '../../src/api/kinds/runtimeclass.ts'
import { causesOf, created, updated } from './make.ts'

type Case = readonly [what: string, more: object, expected: readonly string[]]

const named = (kind: Kind, more: object) => ({ kind: kind.kind, metadata: { name: 'x' }, ...more })

/** Each cause is 'field: message', and begins as expected. */
function refuses(kind: Kind, object: object, expected: readonly string[]): void {
  const causes = causesOf(() => created(kind, named(kind, object)))
  expect(causes).toEqual(expected.map(text => expect.stringContaining(text)))
}

describe('replication controller', () => {
  const container = { name: 'c', image: 'i:1' }
  const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container] } }
  test.each<Case>([
    ['is well', {}, []],
    ['has neither selector nor labels', { template: { spec: template.spec } }, ['spec.selector: Required value']],
    [
      'selects other pods',
      { selector: { app: 'b' } },
      ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`'],
    ],
    ['makes nothing', { template: null, selector: { app: 'a' } }, ['spec.template: Required value']],
    ['has less than none', { replicas: -1 }, ['spec.replicas: Invalid value: -1: must be greater than or equal to 0']],
    [
      'has pods that end',
      { template: { ...template, spec: { ...template.spec, restartPolicy: 'Never', activeDeadlineSeconds: 5 } } },
      [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported',
      ],
    ],
  ])('%s', (_, more, expected) => refuses(replicationController, { spec: { template, ...more } }, expected))
})

describe('status of a replication controller', () => {
  const container = { name: 'c', image: 'i:1' }
  const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container] } }
  test.each<Case>([
    ['is well', { replicas: 3, readyReplicas: 2, availableReplicas: 1, fullyLabeledReplicas: 3 }, []],
    [
      'has less than none',
      { replicas: 1, readyReplicas: -1, availableReplicas: -1 },
      [
        'status.readyReplicas: Invalid value: -1: must be greater than or equal to 0',
        'status.availableReplicas: Invalid value: -1: must be greater than or equal to 0',
      ],
    ],
    [
      'has more ready than there are',
      { replicas: 1, readyReplicas: 2 },
      ['status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas'],
    ],
    [
      'has more available than are ready',
      { replicas: 2, availableReplicas: 1 },
      ['status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas'],
    ],
  ])('%s', (_, status, expected) => {
    const old = created(replicationController, named(replicationController, { spec: { template } }))
    const next = named(replicationController, { spec: { template }, status })
    const causes = causesOf(() => updated<KubeObject>(replicationController, old, next, { subresource: 'status' }))
    expect(causes).toEqual(expected)
  })
})

describe('quota', () => {
  test.each<Case>([
    [
      'is well',
      { hard: { cpu: '1', 'requests.memory': '1Gi', 'count/deployments.apps': '3', 'requests.example.com/gpu': '2' } },
      [],
    ],
    [
      'of what is none',
      { hard: { apples: '1' } },
      [
        'spec.hard[apples]: Invalid value: "apples": must be a standard resource type or fully qualified',
        'spec.hard[apples]: Invalid value: "apples": must be a standard resource for quota',
      ],
    ],
    ['of half a pod', { hard: { pods: '500m' } }, ['spec.hard[pods]: Invalid value: "500m": must be an integer']],
    [
      'of half an object',
      { hard: { 'count/pods': '1.5' } },
      ['spec.hard[count/pods]: Invalid value: "1500m": must be an integer'],
    ],
    [
      'below nothing',
      { hard: { cpu: '-1' } },
      ['spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
    ],
    ['in a scope that is none', { scopes: ['Best'] }, ['spec.scopes: Invalid value: ["Best"]: unsupported scope']],
    [
      'of memory for pods that ask for none',
      { scopes: ['BestEffort'], hard: { memory: '1', pods: '1' } },
      ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
    ],
    [
      'in a scope and its opposite',
      { scopes: ['Terminating', 'NotTerminating'], hard: { pods: '1' } },
      ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'],
    ],
    [
      'of classes of priority, none named',
      { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In' }] } },
      [
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn'",
      ],
    ],
    [
      'of pods that end, named',
      { scopeSelector: { matchExpressions: [{ scopeName: 'Terminating', operator: 'In', values: ['x'] }] } },
      ['spec.scopeSelector.matchExpressions.operator: Invalid value: "In": must be \'Exist\' when scope is any of'],
    ],
    [
      'by an operator that is none',
      { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'Near' }] } },
      ['spec.scopeSelector.matchExpressions.operator: Invalid value: "Near": not a valid selector operator'],
    ],
  ])('%s', (_, spec, expected) => refuses(resourceQuota, { spec }, expected))

  test('keeps its scopes', () => {
    const old = created(resourceQuota, named(resourceQuota, { spec: { scopes: ['BestEffort', 'Terminating'] } }))
    const change = (scopes: readonly string[]) =>
      causesOf(() => updated(resourceQuota, old, named(resourceQuota, { spec: { scopes } })))
    expect(change(['Terminating', 'BestEffort'])).toEqual([])
    expect(change(['BestEffort'])).toEqual(['spec.scopes: Invalid value: ["BestEffort"]: field is immutable'])
  })
})

describe('limit range', () => {
  test.each<Case>([
    ['is well', { type: 'Container', max: { cpu: '2' }, min: { cpu: '1' }, default: { cpu: '2' } }, []],
    [
      'of what is none',
      { type: 'Box' },
      ['type: Invalid value: "Box": must be a standard limit type or fully qualified'],
    ],
    [
      'of pods, with defaults',
      { type: 'Pod', default: { cpu: '1' }, defaultRequest: { cpu: '1' } },
      [
        "default: Forbidden: may not be specified when `type` is 'Pod'",
        "defaultRequest: Forbidden: may not be specified when `type` is 'Pod'",
      ],
    ],
    [
      'of claims, without storage',
      { type: 'PersistentVolumeClaim', max: { cpu: '1' } },
      ['limits: Required value: either minimum or maximum storage value is required, but neither was provided'],
    ],
    [
      'of a resource that no container has',
      { type: 'Container', max: { storage: '1' } },
      [
        'max[storage]: Invalid value: "storage": must be a standard resource for containers',
        'default[storage]: Invalid value: "storage": must be a standard resource for containers',
        'defaultRequest[storage]: Invalid value: "storage": must be a standard resource for containers',
      ],
    ],
    [
      'has a minimum above its maximum',
      { type: 'Pod', min: { cpu: '2' }, max: { cpu: '1' } },
      ['min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'],
    ],
    [
      'has a default above its maximum',
      { type: 'Container', default: { cpu: '3' }, defaultRequest: { cpu: '1' }, max: { cpu: '2' } },
      ['default[cpu]: Invalid value: "2": default value 3 is greater than max value 2'],
    ],
    [
      'asks for more than the default limit, and for less than the minimum',
      { type: 'Container', defaultRequest: { cpu: '3', memory: '1' }, default: { cpu: '2' }, min: { memory: '2' } },
      [
        'defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than default limit value 2',
        'defaultRequest[memory]: Invalid value: "1": min value 2 is greater than default request value 1',
      ],
    ],
    [
      'has a ratio below one, and one above what its bounds allow',
      { type: 'Pod', min: { cpu: '1' }, max: { cpu: '2' }, maxLimitRequestRatio: { memory: '500m', cpu: '3' } },
      [
        'maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000',
        'maxLimitRequestRatio[memory]: Invalid value: "500m": ratio 500m is less than 1',
      ],
    ],
    [
      'wants less than the limit of what cannot be shared',
      { type: 'Container', default: { 'example.com/gpu': '2' }, defaultRequest: { 'example.com/gpu': '1' } },
      [
        'defaultRequest[example.com/gpu]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in example.com/gpu',
      ],
    ],
  ])('%s', (_, item, expected) => {
    refuses(
      limitRange,
      { spec: { limits: [item] } },
      expected.map(text => `spec.limits[0].${text}`),
    )
  })

  test('has one item of a type', () => {
    const limits = [{ type: 'Pod' }, { type: 'Pod' }]
    refuses(limitRange, { spec: { limits } }, ['spec.limits[1].type: Duplicate value: "Pod"'])
  })
})

describe('runtime class', () => {
  test.each<Case>([
    ['is well', {}, []],
    ['has no handler', { handler: '' }, ['handler: Invalid value: "": a lowercase RFC 1123 label']],
    ['has a wrong handler', { handler: 'A.b' }, ['handler: Invalid value: "A.b": a lowercase RFC 1123 label']],
    [
      'costs less than nothing',
      { overhead: { podFixed: { cpu: '-1' } } },
      ['overhead.limits[cpu]: Invalid value: "-1"'],
    ],
    [
      'goes to nodes with a wrong label, tolerating nothing',
      { scheduling: { nodeSelector: { 'a b': 'c' }, tolerations: [{ operator: 'Equal' }] } },
      ['scheduling.nodeSelector: Invalid value: "a b"', 'scheduling.tolerations[0].operator: Invalid value: "Equal"'],
    ],
  ])('%s', (_, more, expected) => refuses(runtimeClass, { handler: 'runc', ...more }, expected))

  test('keeps its handler', () => {
    const old = created(runtimeClass, named(runtimeClass, { handler: 'runc' }))
    const change = () => updated<KubeObject>(runtimeClass, old, named(runtimeClass, { handler: 'kata' }))
    expect(causesOf(change)).toEqual(['handler: Invalid value: "kata": field is immutable'])
  })
})

describe('event of the core group', () => {
  const about = { involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' } }
  test.each<Case>([
    ['is well', {}, []],
    ['is about what has no namespace', { involvedObject: { kind: 'Node', name: 'n' } }, []],
    [
      'lies elsewhere',
      { involvedObject: { ...about.involvedObject, namespace: 'other' } },
      ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
    ],
    [
      'has a time and does not say who tells it',
      { eventTime: '2026-01-01T00:00:00.000000Z', reason: 'R' },
      [
        'reportingComponent: Required value',
        'reportingComponent: Invalid value: "": name part must be non-empty',
        'reportingInstance: Required value',
        'action: Required value',
      ],
    ],
    [
      'says too much',
      {
        eventTime: '2026-01-01T00:00:00.000000Z',
        reportingComponent: 'a',
        reportingInstance: 'b',
        action: 'c',
        reason: 'd'.repeat(129),
        message: 'e'.repeat(1_025),
      },
      [
        'reason: Invalid value: "": can have at most 128 characters',
        'message: Invalid value: "": can have at most 1024 characters',
      ],
    ],
  ])('%s', (_, more, expected) => refuses(event, { ...about, ...more }, expected))
})
