import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { walkThrough } from './operations.ts'

const root = '/apis/networking.k8s.io/v1'
const backend = { service: { name: 'web', port: { number: 80 } } }
const paths = [{ path: '/', pathType: 'Prefix', backend }]

describe('ingress-api', () => {
  walkThrough({
    root,
    resource: 'ingresses',
    kind: 'Ingress',
    namespace: 'default',
    shortNames: ['ing'],
    subresources: ['status'],
    make: i => ({
      metadata: { name: `ing-${i}` },
      spec: {
        rules: ['a.test', 'b.test', 'c.test', 'd.test'].map(host => ({ host, http: { paths } })),
        tls: [{ hosts: ['a.test'], secretName: 'a' }],
      },
    }),
    change: { spec: { ingressClassName: 'nginx' } },
    status: {
      patch: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } },
      expected: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } },
    },
    columns: ['Name', 'Class', 'Hosts', 'Address', 'Ports', 'Age'],
    cells: ['ing-0', '<none>', 'a.test,b.test,c.test + 1 more...', '', '80, 443'],
  })
})

describe('ingressclass-api', () => {
  walkThrough({
    root,
    resource: 'ingressclasses',
    kind: 'IngressClass',
    make: i => ({
      metadata: { name: `class-${i}` },
      spec: { controller: 'example.com/c', parameters: { apiGroup: 'k8s.example.com', kind: 'P', name: 'external' } },
    }),
    columns: ['Name', 'Controller', 'Parameters', 'Age'],
    cells: ['class-0', 'example.com/c', 'P.k8s.example.com/external'],
  })

  describe('the default class', () => {
    let api: Awaited<ReturnType<typeof testApiserver>>
    let ask: Asking
    beforeAll(async () => {
      api = await testApiserver()
      ask = asking(api)
      const annotations = { 'ingressclass.kubernetes.io/is-default-class': 'true' }
      for (const [name, more] of [
        ['a', {}],
        ['b', { annotations }],
      ] as const) {
        await ask(`${root}/ingressclasses`, { body: { metadata: { name, ...more }, spec: { controller: 'x.io/y' } } })
      }
    })
    afterAll(() => api.stop())
    const make = (name: string, more: object, spec: object) =>
      ask(`${root}/namespaces/default/ingresses`, {
        body: { metadata: { name, ...more }, spec: { defaultBackend: backend, ...spec } },
      })

    test('is given to an Ingress that names none', async () => {
      expect((await make('plain', {}, {})).body.spec.ingressClassName).toBe('b')
    })
    test('is not given to one that names another, either way', async () => {
      expect((await make('named', {}, { ingressClassName: 'a' })).body.spec.ingressClassName).toBe('a')
      const annotations = { 'kubernetes.io/ingress.class': 'a' }
      expect((await make('annotated', { annotations }, {})).body.spec.ingressClassName).toBeUndefined()
    })
  })
})

describe('networkpolicy API', () => {
  walkThrough({
    root,
    resource: 'networkpolicies',
    kind: 'NetworkPolicy',
    namespace: 'default',
    shortNames: ['netpol'],
    make: i => ({
      metadata: { name: `policy-${i}` },
      spec: {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }],
      },
    }),
    change: { spec: { policyTypes: ['Ingress', 'Egress'] } },
    columns: ['Name', 'Pod-Selector', 'Age'],
    cells: ['policy-0', 'app=web'],
  })
})

describe('servicecidr-ipaddress-api', () => {
  walkThrough({
    root,
    resource: 'servicecidrs',
    kind: 'ServiceCIDR',
    subresources: ['status'],
    make: i => ({ metadata: { name: `range-${i}` }, spec: { cidrs: [`10.${i}.0.0/16`] } }),
    change: { spec: { cidrs: ['10.0.0.0/16', 'fd00::/112'] } },
    status: {
      patch: {
        conditions: [
          {
            type: 'Ready',
            status: 'True',
            lastTransitionTime: '2026-01-01T00:00:00Z',
            reason: 'Tested',
            message: 'by hand',
          },
        ],
      },
      expected: { conditions: [{ type: 'Ready', status: 'True' }] },
    },
    columns: ['Name', 'CIDRs', 'Age'],
    cells: ['range-0', '10.0.0.0/16'],
  })

  test('the range of the cluster is there, ready, and can be annotated but not changed', async () => {
    const api = await testApiserver()
    const ask = asking(api)
    const at = `${root}/servicecidrs/kubernetes`
    const { body } = await ask(at)
    expect(body.spec).toEqual({ cidrs: ['10.96.0.0/16'] })
    expect(body.status.conditions).toMatchObject([{ type: 'Ready', status: 'True' }])
    const annotations = { patched: 'true' }
    const patched = await ask(at, { method: 'PATCH', body: { metadata: { annotations } } })
    expect(patched.body.metadata.annotations).toEqual(annotations)
    const moved = await ask(at, { method: 'PATCH', body: { spec: { cidrs: ['10.97.0.0/16'] } } })
    expect(moved.message).toContain('spec.cidrs[0]: Invalid value: "10.97.0.0/16": field is immutable')
    const before = patched.body.metadata.resourceVersion
    await api.apiserver.bootstrap(1, api.signal)
    expect((await ask(at)).body.metadata.resourceVersion).toBe(before)
    api.stop()
  })

  walkThrough({
    root,
    resource: 'ipaddresses',
    kind: 'IPAddress',
    shortNames: ['ip'],
    make: i => ({
      metadata: { name: `192.168.7.${i}` },
      spec: { parentRef: { resource: 'services', namespace: 'default', name: 'web' } },
    }),
    columns: ['Name', 'ParentRef', 'Age'],
    cells: ['192.168.7.0', 'services/default/web'],
  })
})
