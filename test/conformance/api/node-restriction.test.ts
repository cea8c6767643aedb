// What an agent may do with the identity of its node. Each test names the guard that it needs.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { peerAnnotation } from '../../../src/api/annotations.ts'
import { type Asking, podNamed } from '../../apiserver/ask.ts'
import { auditedApiserver } from '../../apiserver/audited.ts'
import type { Ask } from '../../apiserver/setup.ts'

const inDefault = '/api/v1/namespaces/default'
const identity = { user: 'system:node:n1', groups: ['system:nodes'] }

describe('node restriction (A6)', () => {
  let api: Awaited<ReturnType<typeof auditedApiserver>>
  let admin: Asking
  const uids: Record<string, string> = {}
  const ask = (url: string, more: Ask = {}) => admin(url, { ...more, identity })
  const patch = (url: string, body: object) => ask(url, { method: 'PATCH', body })
  beforeAll(async () => {
    api = await auditedApiserver()
    admin = api.ask
    for (const name of ['n1', 'n2']) {
      const metadata = { name, annotations: { [peerAnnotation]: `peer-${name}` } }
      await admin('/api/v1/nodes', { body: { metadata } })
    }
    await admin(`${inDefault}/serviceaccounts`, { body: { metadata: { name: 'app' } } })
    for (const [name, nodeName, serviceAccountName] of [
      ['mine', 'n1', 'app'],
      ['other', 'n2', 'app'],
    ] as const) {
      const volumes = [
        { name: 's', secret: { secretName: `of-${name}` } },
        { name: 'c', persistentVolumeClaim: { claimName: `of-${name}` } },
      ]
      const { body } = await admin(`${inDefault}/pods`, {
        body: podNamed(name, { nodeName, serviceAccountName, volumes }),
      })
      uids[name] = body.metadata.uid
      await admin(`${inDefault}/secrets`, { body: { metadata: { name: `of-${name}` } } })
      await admin(`${inDefault}/configmaps`, { body: { metadata: { name: `of-${name}` } } })
    }
  })
  afterAll(() => api.stop())

  test('authorizeNode/related: it reads the secrets of its own pods alone, one by one, and learns nothing of others', async () => {
    expect((await ask(`${inDefault}/secrets/of-mine`)).code).toBe(200)
    const refused = await ask(`${inDefault}/secrets/of-other`)
    expect(refused.code).toBe(403)
    expect(refused.message).toBe(
      `secrets "of-other" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'n1' and this object`,
    )
    // Whether there is one or not looks the same.
    const absent = await ask(`${inDefault}/secrets/none`)
    expect(absent.message).toBe(refused.message.replaceAll('of-other', 'none'))
    expect((await ask(`${inDefault}/secrets`)).code).toBe(403)
    expect((await ask(`${inDefault}/secrets?watch=true&labelSelector=a`)).code).toBe(403)
    expect((await ask(`${inDefault}/configmaps/of-mine`)).code).toBe(403)
  })

  test('authorizePod: it lists its own pods, and makes none', async () => {
    expect((await ask('/api/v1/pods')).code).toBe(403)
    expect((await ask('/api/v1/pods?fieldSelector=spec.nodeName%3Dn2')).code).toBe(403)
    expect((await ask('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1')).code).toBe(200)
    expect((await ask(`${inDefault}/pods/other`)).code).toBe(403)
    expect((await ask(`${inDefault}/pods/mine`)).code).toBe(200)
    const mirror = podNamed('m', { nodeName: 'n1' }, { annotations: { 'kubernetes.io/config.mirror': 'x' } })
    expect((await ask(`${inDefault}/pods`, { body: mirror })).code).toBe(403)
  })

  test('checkOwn, checkStatus: it speaks for its own pods, and gives them no labels', async () => {
    const status = { status: { phase: 'Running' } }
    expect((await patch(`${inDefault}/pods/mine/status`, status)).code).toBe(200)
    expect((await patch(`${inDefault}/pods/other/status`, status)).code).toBe(403)
    const labelled = await patch(`${inDefault}/pods/mine/status`, { metadata: { labels: { app: 'bank' } } })
    expect(labelled.message).toBe(`pods "mine" is forbidden: node "n1" cannot update labels through pod status`)
    expect((await ask(`${inDefault}/pods/other`, { method: 'DELETE' })).code).toBe(403)
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'other' } }
    expect((await ask(`${inDefault}/pods/other/eviction`, { body: eviction })).code).toBe(403)
    expect((await patch(`${inDefault}/pods/mine`, { metadata: { labels: { app: 'bank' } } })).code).toBe(403)
  })

  test('authorizeNode: it writes its own Node alone, and never makes or deletes one', async () => {
    expect((await patch('/api/v1/nodes/n1', { metadata: { annotations: { a: 'b' } } })).code).toBe(200)
    expect((await patch('/api/v1/nodes/n2', {})).code).toBe(403)
    expect((await patch('/api/v1/nodes/n2/status', {})).code).toBe(403)
    expect((await ask('/api/v1/nodes', { body: { metadata: { name: 'n1' } } })).code).toBe(403)
    expect((await ask('/api/v1/nodes/n1', { method: 'DELETE' })).code).toBe(403)
  })

  test.each<[string, object, string]>([
    ['taints', { spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } }, 'node "n1" is not allowed to modify taints'],
    [
      'labels that steer pods',
      { metadata: { labels: { 'node-restriction.kubernetes.io/pci': 'yes', 'kubernetes.io/x': 'y', mine: 'z' } } },
      'is not allowed to modify labels: kubernetes.io/x, node-restriction.kubernetes.io/pci',
    ],
    [
      'owners, with which it could delete itself (CVE-2025-5187)',
      { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'mine', uid: 'x' }] } },
      'node "n1" is not allowed to modify ownerReferences',
    ],
    [
      'its peer, with which it could let another machine in',
      { metadata: { annotations: { [peerAnnotation]: 'peer-x' } } },
      `node "n1" is not allowed to modify the annotation ${peerAnnotation}`,
    ],
  ])('checkNode: of its Node it does not change %s', async (_, body, why) => {
    const { code, message } = await patch('/api/v1/nodes/n1', body)
    expect(message).toBe(`nodes "n1" is forbidden: ${why}`)
    expect(code).toBe(403)
  })

  test('isForbidden: it sets the labels that are its own to set', async () => {
    const labels = {
      'kubernetes.io/hostname': 'n1',
      'topology.kubernetes.io/zone': 'a',
      'node.kubernetes.io/x': 'y',
      z: '1',
    }
    expect((await patch('/api/v1/nodes/n1', { metadata: { labels } })).code).toBe(200)
  })

  test('checkToken: it gets tokens that are bound to its own pods, of the account that they run as', async () => {
    const token = (account: string, ref?: object) =>
      ask(`${inDefault}/serviceaccounts/${account}/token`, {
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { audiences: [], ...(ref && { boundObjectRef: ref }) },
        },
      })
    const to = (name: string) => ({ apiVersion: 'v1', kind: 'Pod', name, uid: uids[name] })
    expect((await token('app', to('mine'))).code).toBe(201)
    expect((await token('app')).message).toBe(
      'serviceaccounts "app" is forbidden: node requested token not bound to a pod',
    )
    expect((await token('app', { ...to('mine'), uid: '' })).message).toContain('with a pod binding without a uid')
    expect((await token('app', to('other'))).message).toContain('bound to a pod scheduled on a different node')
    expect((await token('default', to('mine'))).code).toBe(403)
  })

  test('authorizeLease: it renews the lease of its own node alone', async () => {
    const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`
    const named = (name: string) => ({ body: { metadata: { name }, spec: {} } })
    expect((await ask(leases('kube-node-lease'), named('n1'))).code).toBe(201)
    expect((await ask(leases('kube-node-lease'), named('n2'))).code).toBe(403)
    expect((await ask(leases('default'), named('n1'))).code).toBe(403)
    expect((await ask(`${leases('kube-node-lease')}/n2`)).code).toBe(403)
  })

  test('related: it reads the claims of its own pods, and the volumes behind them', async () => {
    const claim = (name: string) => ask(`${inDefault}/persistentvolumeclaims/${name}`)
    expect((await claim('of-mine')).code).toBe(404)
    expect((await claim('of-other')).code).toBe(403)
    const spec = (name: string) => ({
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: '/x' },
      claimRef: { namespace: 'default', name },
    })
    for (const name of ['of-mine', 'of-other']) {
      const made = await admin('/api/v1/persistentvolumes', { body: { metadata: { name }, spec: spec(name) } })
      expect(made.code).toBe(201)
    }
    expect((await ask('/api/v1/persistentvolumes/of-mine')).code).toBe(200)
    expect((await ask('/api/v1/persistentvolumes/of-other')).code).toBe(403)
    expect((await ask('/api/v1/persistentvolumes')).code).toBe(403)
  })

  test('related: it reads the secrets of the volumes behind its own claims that a node needs', async () => {
    for (const name of ['mounts', 'stages', 'publishes', 'aside']) {
      await admin(`${inDefault}/secrets`, { body: { metadata: { name } } })
    }
    const ref = (name: string) => ({ namespace: 'default', name })
    const spec = (claim: string, source: object) => ({
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      claimRef: { namespace: 'default', name: claim },
      ...source,
    })
    const csi = { driver: 'csi.example.com', volumeHandle: 'x' }
    const volumes = {
      csi: spec('of-mine', {
        csi: { ...csi, nodeStageSecretRef: ref('stages'), controllerPublishSecretRef: ref('publishes') },
      }),
      rbd: spec('of-mine', { rbd: { monitors: ['m'], image: 'i', secretRef: { name: 'mounts' } } }),
      aside: spec('of-other', { csi: { ...csi, nodeStageSecretRef: ref('aside') } }),
    }
    for (const [name, of] of Object.entries(volumes)) {
      const { code, message } = await admin('/api/v1/persistentvolumes', {
        body: { metadata: { name: `secret-${name}` }, spec: of },
      })
      expect([code, message]).toEqual([201, ''])
    }
    const reads = async (name: string) => (await ask(`${inDefault}/secrets/${name}`)).code
    expect([await reads('stages'), await reads('mounts')]).toEqual([200, 200])
    expect([await reads('publishes'), await reads('aside')]).toEqual([403, 403])
  })
})
