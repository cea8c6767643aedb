import { describe, expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { event } from '../../src/api/kinds/event.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { compileSelector, nameOfSelector } from '../../src/api/select.ts'
import { created, kindNamed } from './make.ts'

const web = created(pod, {
  metadata: { name: 'web', labels: { app: 'web', tier: 'front' } },
  spec: { nodeName: 'n1', containers: [{ name: 'a', image: 'a:1' }] },
})

describe('a pod is selected by', () => {
  test.each([
    [{}, true],
    [{ labelSelector: 'app=web,tier' }, true],
    [{ labelSelector: 'app!=web' }, false],
    [{ fieldSelector: 'metadata.name=web,metadata.namespace=default' }, true],
    [{ fieldSelector: 'metadata.name!=web' }, false],
    [{ fieldSelector: 'spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed' }, true],
    [{ fieldSelector: 'spec.nodeName=' }, false],
    [{ fieldSelector: 'status.podIP=' }, true],
    [{ fieldSelector: 'spec.restartPolicy=Always,spec.schedulerName=default-scheduler' }, true],
    [{ labelSelector: 'app=web', fieldSelector: 'spec.nodeName=n2' }, false],
  ])('%j: %s', (selectors, matches) => expect(compileSelector(pod, selectors)(web)).toBe(matches))
})

test('events are selected by what they are about', () => {
  const object = created(event, {
    metadata: { name: 'web.1' },
    involvedObject: { kind: 'Pod', name: 'web', namespace: 'default', uid: 'u' },
    reason: 'Pulled',
    type: 'Normal',
    source: { component: 'kubelet' },
  })
  const fieldSelector =
    'involvedObject.uid=u,involvedObject.name=web,involvedObject.kind=Pod,type=Normal,source=kubelet'
  expect(compileSelector(event, { fieldSelector })(object)).toBe(true)
  expect(compileSelector(event, { fieldSelector: 'reason!=Pulled' })(object)).toBe(false)
})

test('what cannot be selected by, or read, is a BadRequest', () => {
  const bad = (selectors: object) => () => compileSelector(configMap, selectors)
  expect(bad({ fieldSelector: 'data.a=b' })).toThrow('field label not supported: data.a')
  expect(bad({ fieldSelector: 'data' })).toThrow(expect.objectContaining({ reason: 'BadRequest' }))
  expect(bad({ labelSelector: 'a in (' })).toThrow(expect.objectContaining({ reason: 'BadRequest' }))
  expect(() => compileSelector(pod, { fieldSelector: 'spec.foo=1' })).toThrow('field label not supported: spec.foo')
  expect(() => compileSelector(kindNamed('Node'), { fieldSelector: 'metadata.namespace=a' })).toThrow('not supported')
})

test('one name asked for is one key to read', () => {
  expect(nameOfSelector({ fieldSelector: 'metadata.name=web' })).toBe('web')
  expect(nameOfSelector({ fieldSelector: 'metadata.name!=web' })).toBeUndefined()
  expect(nameOfSelector({})).toBeUndefined()
})
