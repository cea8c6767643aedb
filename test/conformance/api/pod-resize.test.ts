// pods/resize: cpu and memory of a pod that is there, as far as its node can follow.
import { describe, expect, test } from 'vitest'
import { ask, oneApi, patch, post, put, type Shown } from './wire.ts'

const pods = '/api/v1/namespaces/default/pods'
type Spec = { readonly containers: readonly { readonly resources: object; readonly image: string }[] }
const specOf = (body: Shown) => body['spec'] as unknown as Spec
const amounts = (cpu: string, memory: string) => ({ cpu, memory })
const burstable = { requests: amounts('100m', '64Mi'), limits: amounts('1', '128Mi') }

describe('pods/resize', () => {
  const one = oneApi()

  async function make(name: string, more: object = {}, container: object = {}) {
    const containers = [{ name: 'c', image: 'i', resources: burstable, ...container }]
    const { code, body } = await post(one.api, pods, { metadata: { name }, spec: { containers, ...more } })
    expect([code, body.message]).toEqual([201, undefined])
    return body
  }
  const resize = (name: string, resources: object, list = 'containers') =>
    patch(one.api, `${pods}/${name}/resize`, 'strategic', { spec: { [list]: [{ name: 'c', resources }] } })
  async function refused(answer: ReturnType<typeof resize>, field: string, why: string) {
    const { code, body } = await answer
    expect([code, body.reason]).toEqual([422, 'Invalid'])
    expect(body.message).toContain(`${field}: ${why}`)
  }

  test('stands in discovery, and can be read', async () => {
    const { body } = await ask(one.api, '/api/v1')
    expect(body['resources']).toContainEqual({
      name: 'pods/resize',
      singularName: '',
      namespaced: true,
      kind: 'Pod',
      verbs: ['get', 'patch', 'update'],
    })
    await make('read')
    expect((await ask(one.api, `${pods}/read/resize`)).body.metadata.name).toBe('read')
  })

  test('changes requests and limits, counts the generation, and nothing else', async () => {
    const made = await make('plain')
    const { code, body } = await resize('plain', { requests: { cpu: '200m' }, limits: { memory: '256Mi' } })
    expect(code).toBe(200)
    expect(specOf(body).containers[0]?.resources).toEqual({
      requests: amounts('200m', '64Mi'),
      limits: amounts('1', '256Mi'),
    })
    expect(body.metadata.generation).toBe((made.metadata.generation ?? 0) + 1)
    const [container] = specOf(body).containers
    const other = {
      ...body,
      metadata: { ...body.metadata, labels: { a: 'b' } },
      spec: { ...specOf(body), containers: [{ ...container, image: 'other' }] },
    }
    const replaced = await put(one.api, `${pods}/plain/resize`, other)
    expect([replaced.code, specOf(replaced.body).containers[0]?.image]).toEqual([200, 'i'])
    expect(replaced.body.metadata.labels).toBeUndefined()
  })

  test('is the only way: a plain update may not', async () => {
    await make('closed')
    const resources = { requests: { cpu: '200m' } }
    const { code } = await patch(one.api, `${pods}/closed`, 'strategic', {
      spec: { containers: [{ name: 'c', resources }] },
    })
    expect(code).toBe(422)
  })

  test('keeps the class of quality, every amount that was named, and memory that is in use', async () => {
    await make('kept')
    await refused(
      resize('kept', { requests: amounts('1', '128Mi') }),
      'spec',
      'Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
    )
    const path = 'spec.containers[0].resources'
    // Where a limit is left, the request becomes what it is.
    await make('unlimited', {}, { resources: { requests: amounts('100m', '64Mi') } })
    await refused(
      resize('unlimited', { requests: { cpu: null } }),
      `${path}.requests`,
      'Forbidden: resource requests cannot be removed',
    )
    await refused(
      resize('kept', { limits: { cpu: null } }),
      `${path}.limits`,
      'Forbidden: resource limits cannot be removed',
    )
    await refused(
      resize('kept', { limits: { memory: '100Mi' } }),
      `${path}.limits[memory]`,
      'Forbidden: memory limits cannot be decreased unless resizePolicy is RestartContainer',
    )
    const storage = { requests: { 'ephemeral-storage': '1Gi' } }
    await refused(resize('kept', storage), 'spec', 'Forbidden: only cpu and memory resources are mutable')
    await make('restarted', {}, { resizePolicy: [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }] })
    expect((await resize('restarted', { limits: { memory: '100Mi' } })).code).toBe(200)
  })

  test('keeps containers and their order; of the init containers, those that go on running may change', async () => {
    const { metadata, ...rest } = await make('order')
    const containers = [...specOf(rest as Shown).containers, { name: 'd', image: 'i' }]
    const added = put(one.api, `${pods}/order/resize`, {
      ...rest,
      metadata,
      spec: { ...specOf(rest as Shown), containers },
    })
    await refused(added, 'spec.containers', 'Forbidden: containers may not be added or removed on resize')
    const renamed = [{ ...specOf(rest as Shown).containers[0], name: 'e' }]
    const other = put(one.api, `${pods}/order/resize`, {
      ...rest,
      metadata,
      spec: { ...specOf(rest as Shown), containers: renamed },
    })
    await refused(other, 'spec.containers[0].name', 'Forbidden: containers may not be renamed or reordered on resize')
    const init = { name: 'c', image: 'i', resources: burstable }
    await make('sidecar', { initContainers: [{ ...init, restartPolicy: 'Always' }] }, { name: 'main' })
    expect((await resize('sidecar', { requests: { cpu: '200m' } }, 'initContainers')).code).toBe(200)
    await make('once', { initContainers: [init] }, { name: 'main' })
    const once = resize('once', { requests: { cpu: '200m' } }, 'initContainers')
    await refused(once, 'spec', 'Forbidden: only cpu and memory resources are mutable')
  })

  test('is refused where the node does not say what its containers have', async () => {
    await make('running')
    const state = { running: { startedAt: '2026-01-01T00:00:00Z' } }
    const says = { name: 'c', image: 'i', imageID: 'i', ready: true, restartCount: 0, state }
    const report = (containerStatuses: readonly object[]) =>
      patch(one.api, `${pods}/running/status`, 'merge', { status: { phase: 'Running', containerStatuses } })
    expect((await report([says])).code).toBe(200)
    const wanted = { requests: { cpu: '200m' } }
    await refused(resize('running', wanted), 'spec', 'Forbidden: Pod running on node without support for resize')
    await report([{ ...says, resources: burstable }])
    expect((await resize('running', wanted)).code).toBe(200)
  })

  test('stays within limit ranges and quotas', async () => {
    await post(one.api, '/api/v1/namespaces', { metadata: { name: 'ranged' } })
    const inRanged = '/api/v1/namespaces/ranged'
    await post(one.api, `${inRanged}/limitranges`, {
      metadata: { name: 'most' },
      spec: { limits: [{ type: 'Container', max: { cpu: '2' } }] },
    })
    const containers = [{ name: 'c', image: 'i', resources: burstable }]
    expect((await post(one.api, `${inRanged}/pods`, { metadata: { name: 'p' }, spec: { containers } })).code).toBe(201)
    const grow = (cpu: string) =>
      patch(one.api, `${inRanged}/pods/p/resize`, 'strategic', {
        spec: { containers: [{ name: 'c', resources: { limits: { cpu } } }] },
      })
    const { code, body } = await grow('3')
    expect([code, body.message]).toEqual([
      403,
      'pods "p" is forbidden: maximum cpu usage per Container is 2, but limit is 3',
    ])
    expect((await grow('2')).code).toBe(200)
  })
})
