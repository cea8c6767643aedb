import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toNew, toOld } from '../../src/api/autoscaling.ts'
import { type HorizontalPodAutoscaler, horizontalPodAutoscaler } from '../../src/api/kinds/horizontalpodautoscaler.ts'
import { oldHorizontalPodAutoscaler } from '../../src/api/kinds/oldhorizontalpodautoscaler.ts'
import { causesOf, created, parsed } from './make.ts'

const name = fc.constantFrom('hits', 'queue', 'lag')
const selector = fc.option(fc.constant({ matchLabels: { app: 'web' } }), { nil: undefined })
const amount = fc.constantFrom('1', '500m', '2Gi', '17k')
const percent = fc.integer({ min: 1, max: 200 })
const metric = fc.record({ name, selector }, { requiredKeys: ['name'] }).map(clean)
const describedObject = fc.constant({ apiVersion: 'v1', kind: 'Service', name: 'web' })
const container = fc.constantFrom('a', 'b')

function clean<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

const use = fc.oneof(
  percent.map(averageUtilization => ({ type: 'Utilization', averageUtilization })),
  amount.map(averageValue => ({ type: 'AverageValue', averageValue })),
)
const value = fc.oneof(
  amount.map(text => ({ type: 'Value', value: text })),
  amount.map(averageValue => ({ type: 'AverageValue', averageValue })),
)
const average = amount.map(averageValue => ({ type: 'AverageValue', averageValue }))
const other = fc.oneof(
  fc.record({ type: fc.constant('Resource'), resource: fc.record({ name: fc.constant('memory'), target: use }) }),
  fc.record({
    type: fc.constant('ContainerResource'),
    containerResource: fc.record({ name: fc.constant('cpu'), container, target: use }),
  }),
  fc.record({ type: fc.constant('Pods'), pods: fc.record({ metric, target: average }) }),
  fc.record({ type: fc.constant('Object'), object: fc.record({ describedObject, metric, target: value }) }),
  fc.record({ type: fc.constant('External'), external: fc.record({ metric, target: value }) }),
)
const cpu = percent.map(averageUtilization => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
}))
// v1 puts the use of CPU behind all others.
const metrics = fc.tuple(fc.array(other, { maxLength: 4 }), fc.option(cpu, { nil: undefined }))
const rules = fc.record({
  stabilizationWindowSeconds: fc.nat(600),
  selectPolicy: fc.constantFrom('Min', 'Max', 'Disabled'),
  policies: fc.array(
    fc.record({
      type: fc.constantFrom('Pods', 'Percent'),
      value: fc.integer({ min: 1, max: 9 }),
      periodSeconds: fc.integer({ min: 1, max: 60 }),
    }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
})
const behavior = fc.option(fc.record({ scaleUp: rules, scaleDown: rules }), { nil: undefined })
const now = fc.oneof(
  fc.record({
    type: fc.constant('Resource'),
    resource: fc.record({
      name: fc.constantFrom('cpu', 'memory'),
      current: fc.record({ averageUtilization: percent, averageValue: amount }),
    }),
  }),
  fc.record({
    type: fc.constant('Pods'),
    pods: fc.record({ metric, current: amount.map(averageValue => ({ averageValue })) }),
  }),
  fc.record({
    type: fc.constant('External'),
    external: fc.record({
      metric,
      current: fc.oneof(
        amount.map(text => ({ value: text })),
        amount.map(averageValue => ({ averageValue })),
      ),
    }),
  }),
)
const conditions = fc.array(
  fc.record({
    type: fc.constantFrom('AbleToScale', 'ScalingActive'),
    status: fc.constantFrom('True', 'False'),
    reason: name,
  }),
  { maxLength: 2 },
)
const status = fc.record({
  currentReplicas: fc.nat(9),
  desiredReplicas: fc.nat(9),
  currentMetrics: fc.array(now, { maxLength: 3 }),
  conditions,
})

const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }

describe('an autoscaler of v2', () => {
  test('comes back from v1 as it was, whatever it measures', () => {
    fc.assert(
      fc.property(metrics, behavior, status, ([others, used], rulesOf, shown) => {
        const given = {
          metadata: { name: 'x', annotations: { kept: 'yes' } },
          spec: {
            scaleTargetRef,
            maxReplicas: 5,
            metrics: [...others, ...(used ? [used] : [])],
            ...(rulesOf && { behavior: rulesOf }),
          },
        }
        const made = created(horizontalPodAutoscaler, clean(given))
        const before = parsed(horizontalPodAutoscaler, clean({ ...made, status: shown })) as HorizontalPodAutoscaler
        const old = parsed(oldHorizontalPodAutoscaler, clean(toOld(before)))
        expect(clean(toNew(old))).toEqual(clean(before))
      }),
      { numRuns: 200 },
    )
  })
})

describe('an autoscaler that is refused', () => {
  const memory = {
    type: 'Resource',
    resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
  }
  const pods = (target: object) => ({ type: 'Pods', pods: { metric: { name: 'hits' }, target } })
  test.each<readonly [string, object, readonly string[]]>([
    ['not this one', { metrics: [memory] }, []],
    [
      'has a minimum of none',
      { minReplicas: 0 },
      ['spec.minReplicas: Invalid value: 0: must be greater than or equal to 1', 'spec.metrics: Forbidden'],
    ],
    [
      'has a maximum below its minimum',
      { minReplicas: 9 },
      ['spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`'],
    ],
    [
      'scales what has no name',
      { scaleTargetRef: { kind: 'a/b', name: '' } },
      [
        'spec.scaleTargetRef.name: Required value',
        'spec.scaleTargetRef.kind: Invalid value: "a/b": may not contain \'/\'',
      ],
    ],
    [
      'measures in a way that is none',
      { metrics: [{ type: 'Guess' }] },
      ['spec.metrics[0].type: Unsupported value: "Guess"'],
    ],
    [
      'does not say what it measures',
      { metrics: [{ type: 'Pods' }] },
      ['spec.metrics[0].pods: Required value: must populate information for the given metric source'],
    ],
    [
      'measures two things as one',
      { metrics: [{ ...memory, ...pods({ type: 'AverageValue', averageValue: '1' }), type: 'Pods' }] },
      ['spec.metrics[0].resource: Forbidden: must populate the given metric source only'],
    ],
    [
      'wants both a part and an amount',
      {
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 5, averageValue: '1' } },
          },
        ],
      },
      [
        'spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization',
      ],
    ],
    [
      'wants nothing of its pods',
      { metrics: [pods({ type: 'AverageValue', averageValue: '0' }), pods({ type: 'Most' })] },
      [
        'spec.metrics[0].pods.target.averageValue: Invalid value: "0": must be positive',
        'spec.metrics[1].pods.target.type: Invalid value: "Most": must be either Utilization, Value, or AverageValue',
        'spec.metrics[1].pods.target.averageValue: Required value: must specify a positive target averageValue',
      ],
    ],
    [
      'moves by rules that cannot be',
      {
        behavior: {
          scaleUp: {
            stabilizationWindowSeconds: 3_601,
            selectPolicy: 'Most',
            policies: [{ type: 'Nodes', value: 0, periodSeconds: 1_801 }],
          },
          scaleDown: { policies: [] },
        },
      },
      [
        'spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600',
        'spec.behavior.scaleUp.selectPolicy: Unsupported value: "Most": supported values: "Disabled", "Max", "Min"',
        'spec.behavior.scaleUp.policies[0].type: Unsupported value: "Nodes": supported values: "Percent", "Pods"',
        'spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero',
        'spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800',
      ],
    ],
  ])('%s', (_, spec, expected) => {
    const body = { metadata: { name: 'x' }, spec: { scaleTargetRef, maxReplicas: 5, ...spec } }
    const causes = causesOf(() => created(horizontalPodAutoscaler, body))
    expect(causes).toEqual(expected.map(text => expect.stringContaining(text)))
  })
})
