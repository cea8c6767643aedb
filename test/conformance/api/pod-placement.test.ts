// Where a pod may go: how it is said, and what of it can be said anew while the pod waits (kubernetes-api.md A: pods).
import { describe, expect, test } from 'vitest'
import { podNamed } from '../../apiserver/ask.ts'
import { type Answer, oneApi, patch, post } from './wire.ts'

const inDefault = '/api/v1/namespaces/default'
const pods = `${inDefault}/pods`
const causesOf = ({ body }: Answer) =>
  body.details?.causes?.map(({ field = '', message }) => `${field}: ${message}`) ?? []
const required = 'requiredDuringSchedulingIgnoredDuringExecution'
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'
const nodes = (...terms: readonly object[]) => ({ nodeAffinity: { [required]: { nodeSelectorTerms: terms } } })
const on = (...values: readonly string[]) => ({ key: 'zone', operator: 'In', values })

describe('pod placement', () => {
  const one = oneApi()
  const told = async (spec: object) => causesOf(await post(one.api, `${pods}?dryRun=All`, podNamed('asked', spec)))
  const terms = `spec.affinity.nodeAffinity.${required}.nodeSelectorTerms`

  test('is by labels that nodes can have, and by their names', async () => {
    const matchExpressions = [on('-'), { key: 'zone', operator: 'Gt', values: [] }]
    const matchFields = [
      { key: 'metadata.uid', operator: 'In', values: ['a'] },
      { key: 'metadata.name', operator: 'Exists' },
      { key: 'metadata.name', operator: 'In', values: ['a', 'b'] },
      { key: 'metadata.name', operator: 'In', values: ['A'] },
    ]
    expect(await told({ affinity: nodes({ matchExpressions, matchFields }) })).toEqual([
      expect.stringMatching(/nodeSelectorTerms\[0\]\.matchExpressions\[0\]\.values\[0\]: Invalid value: "-": /),
      `${terms}[0].matchExpressions[1].values: Required value: must be specified single value when \`operator\` is 'Lt' or 'Gt'`,
      `${terms}[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key`,
      `${terms}[0].matchFields[1].operator: Invalid value: "Exists": not a valid selector operator`,
      `${terms}[0].matchFields[2].values: Required value: must be only one value when \`operator\` is 'In' or 'NotIn' for node field selector`,
      expect.stringMatching(/nodeSelectorTerms\[0\]\.matchFields\[3\]\.values\[0\]: Invalid value: "A": /),
    ])
    const preference = { matchExpressions: [{ key: 'zone', operator: 'In' }] }
    const affinity = { nodeAffinity: { [preferred]: [{ weight: 1, preference }] } }
    expect(await told({ affinity })).toEqual([
      `spec.affinity.nodeAffinity.${preferred}[0].preference.matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
    ])
  })

  describe('behind gates', () => {
    const schedulingGates = [{ name: 'a.test/gate' }]
    const made = async (name: string, spec: object) => {
      expect((await post(one.api, pods, podNamed(name, { schedulingGates, ...spec }))).code).toBe(201)
      return (next: object) => patch(one.api, `${pods}/${name}`, 'merge', { spec: next })
    }

    test('a selector of nodes grows, and nothing of it goes', async () => {
      const change = await made('selecting', { nodeSelector: { a: '1' } })
      expect((await change({ nodeSelector: { b: '2' } })).code).toBe(200)
      for (const nodeSelector of [{ a: '2' }, { b: null }]) {
        expect(causesOf(await change({ nodeSelector }))).toEqual([
          expect.stringMatching(
            /^spec\.nodeSelector: .*: only additions to spec\.nodeSelector are allowed \(no mutations or/,
          ),
        ])
      }
    })

    test('terms of nodes become narrower alone, and can be said where there were none', async () => {
      const fresh = await made('fresh', {})
      expect((await fresh({ affinity: nodes({ matchExpressions: [on('a')] }) })).code).toBe(200)
      const change = await made('narrowing', { affinity: nodes({ matchExpressions: [on('a', 'b')] }) })
      const disk = { key: 'disk', operator: 'Exists' }
      expect((await change({ affinity: nodes({ matchExpressions: [on('a', 'b'), disk] }) })).code).toBe(200)
      expect(causesOf(await change({ affinity: nodes({ matchExpressions: [on('a'), disk] }) }))).toEqual([
        expect.stringMatching(/nodeSelectorTerms\[0\]: .*: only additions are allowed \(no mutations or deletions\)$/),
      ])
      const two = nodes({ matchExpressions: [on('a', 'b'), disk] }, { matchExpressions: [disk] })
      expect(causesOf(await change({ affinity: two }))).toEqual([
        expect.stringMatching(
          /nodeSelectorTerms: .*: no additions\/deletions to non-empty NodeSelectorTerms list are allowed$/,
        ),
      ])
      const near = { [required]: [{ topologyKey: 'zone', labelSelector: { matchLabels: { a: 'b' } } }] }
      expect(causesOf(await change({ affinity: { podAffinity: near } }))).toEqual([
        expect.stringMatching(/^spec: Forbidden: pod updates may not change fields other than/),
      ])
    })

    test('and no longer once they are gone', async () => {
      const change = await made('free', { nodeSelector: { a: '1' } })
      expect((await change({ schedulingGates: null })).code).toBe(200)
      expect(causesOf(await change({ nodeSelector: { b: '2' } }))).toEqual([
        expect.stringMatching(/^spec: Forbidden: pod updates may not change fields other than/),
      ])
    })
  })

  describe('by label keys', () => {
    const near = (term: object) => ({ affinity: { podAffinity: { [required]: [{ topologyKey: 'zone', ...term }] } } })
    const labels = { app: 'web', hash: '1' }
    const at = `spec.affinity.podAffinity.${required}[0]`

    test('a term has the values of the pod in its selector', async () => {
      const labelSelector = { matchLabels: { app: 'web' } }
      const spec = near({ labelSelector, matchLabelKeys: ['hash', 'none'], mismatchLabelKeys: ['app'] })
      const { code, body } = await post(one.api, pods, podNamed('keyed', spec, { labels }))
      expect(code).toBe(201)
      expect(body['spec']).toMatchObject(
        near({
          labelSelector: {
            ...labelSelector,
            matchExpressions: [
              { key: 'hash', operator: 'In', values: ['1'] },
              { key: 'app', operator: 'NotIn', values: ['web'] },
            ],
          },
        }),
      )
    })

    test('that are in the selector, in both lists, or beside no selector are refused', async () => {
      const causes = async (term: object) =>
        causesOf(await post(one.api, `${pods}?dryRun=All`, podNamed('asked', near(term), { labels })))
      expect(await causes({ matchLabelKeys: ['app'] })).toEqual([
        `${at}.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set`,
      ])
      expect(await causes({ labelSelector: { matchLabels: { app: 'web' } }, matchLabelKeys: ['app'] })).toEqual([
        `${at}[0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector`,
      ])
      expect(await causes({ labelSelector: {}, matchLabelKeys: ['none'], mismatchLabelKeys: ['none'] })).toEqual([
        `${at}.matchLabelKeys[0]: Invalid value: "none": exists in both matchLabelKeys and mismatchLabelKeys`,
      ])
    })

    test('of a constraint are held to the same', async () => {
      const spread = {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        matchLabelKeys: ['app', '-'],
      }
      const constraints = 'spec.topologySpreadConstraints[0].matchLabelKeys'
      const labelSelector = { matchExpressions: [{ key: 'app', operator: 'Exists' }] }
      expect(await told({ topologySpreadConstraints: [{ ...spread, labelSelector }] })).toEqual([
        `${constraints}[0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector`,
        expect.stringMatching(/matchLabelKeys\[1\]: Invalid value: "-": /),
      ])
      expect(await told({ topologySpreadConstraints: [{ ...spread, matchLabelKeys: ['app'] }] })).toEqual([
        `${constraints}: Forbidden: must not be specified when labelSelector is not set`,
      ])
    })
  })
})

describe('job placement', () => {
  const one = oneApi()
  const jobs = '/apis/batch/v1/namespaces/default/jobs'
  const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'work:1' }] } }
  const change = (name: string, spec: object) =>
    patch(one.api, `${jobs}/${name}`, 'merge', { spec: { template: spec } })
  const immutable = [expect.stringMatching(/^spec\.template: Invalid value: .*: field is immutable$/)]
  const near = { [required]: [{ topologyKey: 'zone', labelSelector: { matchLabels: { a: 'b' } } }] }

  test('of a suspended job that never ran can be changed: nodes, tolerations, gates, labels', async () => {
    await post(one.api, jobs, { metadata: { name: 'held' }, spec: { suspend: true, template } })
    for (const spec of [
      { spec: { nodeSelector: { a: 'b' } } },
      { spec: { tolerations: [{ operator: 'Exists' }] } },
      { spec: { schedulingGates: [{ name: 'a.test/gate' }] } },
      { spec: { affinity: nodes({ matchExpressions: [on('a')] }) } },
      { metadata: { labels: { more: 'yes' }, annotations: { more: 'yes' } } },
    ]) {
      const { code, body } = await change('held', spec)
      expect([code, body.message]).toEqual([200, undefined])
      expect(body['spec']).toMatchObject({ template: spec })
    }
    expect(causesOf(await change('held', { spec: { affinity: { podAffinity: near } } }))).toEqual(immutable)
    expect(causesOf(await change('held', { spec: { priorityClassName: 'other' } }))).toEqual(immutable)
  })

  test('of one that ran before, or runs, stays', async () => {
    await post(one.api, jobs, { metadata: { name: 'ran' }, spec: { suspend: true, template } })
    const status = { startTime: '2026-01-02T03:04:05Z' }
    expect((await patch(one.api, `${jobs}/ran/status`, 'merge', { status })).code).toBe(200)
    expect(causesOf(await change('ran', { spec: { nodeSelector: { a: 'b' } } }))).toEqual(immutable)
    await post(one.api, jobs, { metadata: { name: 'runs' }, spec: { template } })
    expect(causesOf(await change('runs', { spec: { nodeSelector: { a: 'b' } } }))).toEqual(immutable)
  })
})
