import { describe, expect, test } from 'vitest'
import { isGone, sameObject } from '../../src/api/admit.ts'
import { applyDefaults } from '../../src/api/default.ts'
import type { ApiError } from '../../src/api/error.ts'
import type { KubeObject } from '../../src/api/kind.ts'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { deployment } from '../../src/api/kinds/deployment.ts'
import { job } from '../../src/api/kinds/job.ts'
import { namespace } from '../../src/api/kinds/namespace.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { secret } from '../../src/api/kinds/secret.ts'
import { service } from '../../src/api/kinds/service.ts'
import { kinds } from '../../src/api/kinds.ts'
import { goldens } from './golden.ts'
import { created, kindNamed, stamp, updated } from './make.ts'

goldens('admit', input => {
  const kind = kindNamed(String(input['kind']))
  return created(kind, input)
})

const labels = { app: 'web' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'nginx:1' }] } }
const web = { metadata: { name: 'web' }, spec: { selector: { matchLabels: labels }, template } }
const lone = { metadata: { name: 'lone' }, spec: { containers: [{ name: 'web', image: 'nginx:1' }] } }

function failure(act: () => unknown): ApiError {
  try {
    act()
  } catch (error) {
    return error as ApiError
  }
  throw new Error('nothing was thrown')
}

describe('create', () => {
  test('stamps uid, time, generation and a generated name', () => {
    const object = created(pod, { ...lone, metadata: { generateName: 'lone-', uid: 'mine', generation: 7 } })
    expect(object.metadata).toEqual({
      name: 'lone-x7k2p',
      generateName: 'lone-',
      namespace: 'default',
      uid: stamp.uid,
      creationTimestamp: '2026-01-02T03:04:05Z',
      generation: 1,
    })
  })
  test('cuts a long prefix so that the name stays within 63 letters', () => {
    const object = created(configMap, { metadata: { generateName: 'a'.repeat(80) } })
    expect(object.metadata.name).toBe(`${'a'.repeat(58)}x7k2p`)
  })
  test('takes no status from the writer, but a node reports itself', () => {
    expect(created(deployment, { ...web, status: { replicas: 9 } }).status).toEqual({})
    const node = created(kindNamed('Node'), { metadata: { name: 'n' }, status: { phase: 'Running' } })
    expect(node).toMatchObject({ status: { phase: 'Running' } })
  })
  test('needs a name, a namespace that fits, and no resourceVersion', () => {
    expect(failure(() => created(configMap, {})).message).toContain(
      'metadata.name: Required value: name or generateName is required',
    )
    expect(failure(() => created(configMap, { metadata: { name: 'a', namespace: 'other' } })).reason).toBe('BadRequest')
    expect(failure(() => created(configMap, { metadata: { name: 'a', resourceVersion: '1' } })).reason).toBe(
      'BadRequest',
    )
    expect(created(namespace, { metadata: { name: 'a', namespace: 'b' } }).metadata.namespace).toBeUndefined()
  })
  test('tells all that is wrong in one answer', () => {
    const error = failure(() =>
      created(pod, { metadata: { name: 'A' }, spec: { containers: [{}], restartPolicy: 'Often' } }),
    )
    expect(error.code).toBe(422)
    expect(error.details?.causes?.map(({ field }) => field)).toEqual([
      'metadata.name',
      'spec.containers[0].name',
      'spec.restartPolicy',
      'spec.containers[0].image',
    ])
  })
})

describe('update', () => {
  const old = created(deployment, web)
  test('counts a change of what is wanted, and nothing else', () => {
    const same = updated(deployment, old, { ...web, metadata: { name: 'web', labels: { a: 'b' } } })
    expect(same.metadata.generation).toBe(1)
    const more = updated(deployment, old, { ...web, spec: { ...web.spec, replicas: 3 } })
    expect(more.metadata.generation).toBe(2)
  })
  test('keeps uid, times and status, whatever is sent', () => {
    const next = updated(deployment, { ...old, status: { replicas: 1 } }, { ...web, status: { replicas: 5 } })
    expect(next.status).toEqual({ replicas: 1 })
    expect(next.metadata).toMatchObject({ uid: stamp.uid, creationTimestamp: old.metadata.creationTimestamp })
  })
  test('by /status takes the status, labels and annotations alone', () => {
    const sent = { ...web, metadata: { name: 'web', annotations: { a: 'b' } }, spec: {}, status: { replicas: 5 } }
    const next = updated(deployment, old, sent, { subresource: 'status' })
    expect(next.status).toEqual({ replicas: 5 })
    expect(next.spec).toEqual(old.spec)
    expect(next.metadata.annotations).toEqual({ a: 'b' })
    expect(next.metadata.generation).toBe(1)
  })
  test('refuses another uid as a conflict and another selector as invalid', () => {
    expect(failure(() => updated(deployment, old, { ...web, metadata: { name: 'web', uid: 'other' } })).reason).toBe(
      'Conflict',
    )
    const spec = {
      selector: { matchLabels: { app: 'api' } },
      template: { ...template, metadata: { labels: { app: 'api' } } },
    }
    expect(failure(() => updated(deployment, old, { ...web, spec })).message).toMatch(
      /spec.selector: .*field is immutable/,
    )
  })
  test('of an object that is going adds no finalizer and can take them away', () => {
    const going = {
      ...old,
      metadata: { ...old.metadata, deletionTimestamp: '2026-01-02T03:04:05Z', finalizers: ['a/b'] },
    }
    const added = { ...web, metadata: { name: 'web', finalizers: ['a/b', 'c/d'] } }
    expect(failure(() => updated(deployment, going, added)).message).toContain('no new finalizers can be added')
    const freed = updated(deployment, going, web)
    expect(freed.metadata.deletionTimestamp).toBe(going.metadata.deletionTimestamp)
    expect(isGone(freed)).toBe(true)
    expect(isGone(going)).toBe(false)
  })
  test('that changes nothing gives the same object', () => {
    expect(sameObject(old, updated(deployment, old, web))).toBe(true)
    expect(sameObject(old, updated(deployment, old, { ...web, metadata: { name: 'web', labels } }))).toBe(false)
  })
})

describe('what stays as it is', () => {
  test('a pod on its node, but for images, tolerations and deadline', () => {
    const tolerations = [{ key: 'a', operator: 'Exists' }]
    const old = created(pod, { ...lone, spec: { ...lone.spec, tolerations } })
    const spec = (change: object) => ({ ...lone, spec: { ...old.spec, ...change } })
    const next = updated(
      pod,
      old,
      spec({ containers: [{ ...old.spec.containers[0], image: 'nginx:2' }], activeDeadlineSeconds: 5 }),
    )
    expect(next.metadata.generation).toBe(2)
    for (const change of [
      { nodeName: 'n' },
      { hostNetwork: true },
      { tolerations: [{ operator: 'Exists' }] },
      { restartPolicy: 'Never' },
    ]) {
      expect(failure(() => updated(pod, old, spec(change))).reason).toBe('Invalid')
    }
    expect(failure(() => updated(pod, old, spec({ hostNetwork: true }))).message).toContain(
      'pod updates may not change fields other than',
    )
  })
  test('a pod is bound by its subresource', () => {
    const old = created(pod, lone)
    const bound = updated(pod, old, { ...old, spec: { ...old.spec, nodeName: 'n' } }, { subresource: 'binding' })
    expect(bound.spec.nodeName).toBe('n')
  })
  test('ephemeral containers come by their subresource only', () => {
    const old = created(pod, lone)
    const ephemeralContainers = [{ name: 'debug', image: 'busybox' }]
    const sent = { ...old, spec: { ...old.spec, ephemeralContainers } }
    expect(failure(() => updated(pod, old, sent)).reason).toBe('Invalid')
    const next = updated(pod, old, sent, { subresource: 'ephemeralcontainers' })
    expect(next.spec.ephemeralContainers?.[0]).toMatchObject({ name: 'debug', terminationMessagePolicy: 'File' })
    expect(next.metadata.generation).toBe(2)
    expect(updated(pod, next, lone).spec.ephemeralContainers).toEqual(next.spec.ephemeralContainers)
  })
  test('an immutable ConfigMap and Secret', () => {
    const sealed = { metadata: { name: 'a' }, data: { k: 'dg==' }, immutable: true }
    for (const kind of [configMap, secret]) {
      const old = created<KubeObject>(kind, sealed)
      expect(() => updated<KubeObject>(kind, old, { ...sealed, metadata: { name: 'a', labels } })).not.toThrow()
      const changed = failure(() => updated<KubeObject>(kind, old, { ...sealed, data: { k: 'dmE=' } }))
      expect(changed.message).toContain('data: Forbidden: field is immutable when `immutable` is set')
      const opened = failure(() => updated<KubeObject>(kind, old, { ...sealed, immutable: false }))
      expect(opened.message).toContain('immutable: Forbidden: field is immutable when `immutable` is set')
    }
  })
  test("a Job's template and a Service's address", () => {
    const spec = { template: { spec: { restartPolicy: 'Never', containers: lone.spec.containers } } }
    const old = created(job, { metadata: { name: 'j' }, spec })
    expect(failure(() => updated(job, old, { ...old, spec: { ...old.spec, template } })).message).toMatch(
      /spec.template: .*immutable/,
    )
    const port = {
      metadata: { name: 's' },
      spec: { ports: [{ port: 80 }], clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] },
    }
    const served = created(service, port)
    const moved = { ...port, spec: { ...port.spec, clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'] } }
    expect(failure(() => updated(service, served, moved)).message).toContain(
      'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set',
    )
  })
  test("a namespace's finalizer, until /finalize", () => {
    const old = created(namespace, { metadata: { name: 'n' } })
    expect(updated(namespace, old, { ...old, spec: {} }).spec.finalizers).toEqual(['kubernetes'])
    expect(updated(namespace, old, { ...old, spec: {} }, { subresource: 'finalize' }).spec.finalizers).toBeUndefined()
  })
})

test('a Secret takes text and keeps bytes', () => {
  const object = created(secret, { metadata: { name: 's' }, data: { a: 'YQ==' }, stringData: { a: 'b', c: 'ü' } })
  expect(object.data).toEqual({ a: 'Yg==', c: 'w7w=' })
  expect(object).not.toHaveProperty('stringData')
})

test('defaults are idempotent on every kind', () => {
  for (const kind of kinds) {
    const object = {
      apiVersion: 'v1',
      kind: kind.kind,
      metadata: { name: 'x' },
      spec: { template: { spec: { containers: [{}] } } },
    }
    const once = applyDefaults(kind, object as unknown as KubeObject)
    expect(applyDefaults(kind, once)).toEqual(once)
  }
})
