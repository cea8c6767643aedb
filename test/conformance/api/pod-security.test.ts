// The Pod Security Standards as the labels of a namespace ask for them, in the words that upstream's clients know.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Namespace, namespace } from '../../../src/api/kinds/namespace.ts'
import type { Change, Reading } from '../../../src/apiserver/admission/admission.ts'
import { podSecurity } from '../../../src/apiserver/admission/podsecurity.ts'
import { type Asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { auditedApiserver } from '../../apiserver/audited.ts'

const label = (mode: string, level: string) => ({ [`pod-security.kubernetes.io/${mode}`]: level })
let api: Awaited<ReturnType<typeof auditedApiserver>>
let ask: Asking

beforeAll(async () => {
  api = await auditedApiserver()
  ask = api.ask
  const spaces = {
    free: {},
    baseline: label('enforce', 'baseline'),
    restricted: label('enforce', 'restricted'),
    old: { ...label('enforce', 'restricted'), ...label('enforce-version', 'v1.18') },
    warned: label('warn', 'restricted'),
  }
  for (const [name, labels] of Object.entries(spaces)) {
    await ask('/api/v1/namespaces', { body: namespaceNamed(name, labels) })
  }
})
afterAll(() => api.stop())

const place = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`
const isolated = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'c',
      image: 'i:1',
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
}
const contained = (securityContext: object, more: object = {}) => ({
  containers: [{ name: 'c', image: 'i:1', securityContext, ...more }],
})

async function refusal(namespace: string, spec: object, metadata: object = {}): Promise<string> {
  const { code, message } = await ask(place(namespace), { body: podNamed('p', spec, metadata) })
  expect({ code, message }).toEqual({ code: 403, message: expect.any(String) })
  return message
}

describe('pod-security (A11)', () => {
  test('a namespace without labels holds privileged pods', async () => {
    const { code, warnings } = await ask(place('free'), { body: podNamed('p', contained({ privileged: true })) })
    expect({ code, warnings }).toEqual({ code: 201, warnings: [] })
  })

  test('restricted refuses a plain pod in the words that everybody knows', async () => {
    expect(await refusal('restricted', {})).toBe(
      'pods "p" is forbidden: violates PodSecurity "restricted:latest": ' +
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    )
  })

  test('restricted lets an isolated pod in, and warns of nothing', async () => {
    const { code, warnings } = await ask(place('restricted'), { body: podNamed('isolated', isolated) })
    expect({ code, warnings }).toEqual({ code: 201, warnings: [] })
  })

  test.each<[string, object, string]>([
    [
      'privileged',
      contained({ privileged: true }),
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [
      'host namespaces',
      { hostNetwork: true, hostPID: true, hostIPC: true },
      'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
    ],
    ['host paths', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'hostPath volumes (volume "v")'],
    [
      'host ports',
      contained({}, { ports: [{ containerPort: 80, hostPort: 8080 }] }),
      'hostPort (container "c" uses hostPort 8080)',
    ],
    [
      'capabilities',
      contained({ capabilities: { add: ['NET_ADMIN', 'CHOWN'] } }),
      'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      'seccomp',
      { securityContext: { seccompProfile: { type: 'Unconfined' } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      'AppArmor',
      { securityContext: { appArmorProfile: { type: 'Unconfined' } } },
      'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
    ],
    [
      'SELinux',
      { securityContext: { seLinuxOptions: { type: 'spc_t', user: 'u' } } },
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ],
    [
      'sysctls',
      { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
      'forbidden sysctls (kernel.msgmax)',
    ],
  ])('baseline refuses %s', async (_, spec, why) => {
    expect(await refusal('baseline', spec)).toBe(
      `pods "p" is forbidden: violates PodSecurity "baseline:latest": ${why}`,
    )
  })

  test('baseline lets a plain pod and the safe sysctls in', async () => {
    const spec = { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] } }
    expect((await ask(place('baseline'), { body: podNamed('plain', spec) })).code).toBe(201)
  })

  test('restricted says a thing once that baseline forbids as well', async () => {
    const spec = { ...isolated, volumes: [{ name: 'v', hostPath: { path: '/' } }] }
    expect(await refusal('restricted', spec)).toBe(
      'pods "p" is forbidden: violates PodSecurity "restricted:latest": restricted volume types (volume "v" uses restricted volume type "hostPath")',
    )
  })

  test('an older version of the standards asks for what it asked for then', async () => {
    expect(await refusal('old', {})).toBe(
      'pods "p" is forbidden: violates PodSecurity "restricted:v1.18": ' +
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
    )
  })

  test('warn lets it happen and says what is wrong', async () => {
    const { code, warnings } = await ask(place('warned'), { body: podNamed('p') })
    expect(code).toBe(201)
    expect(warnings).toEqual([expect.stringMatching(/^would violate PodSecurity "restricted:latest": allowPrivilege/)])
  })

  test('the template of a workload is warned of, never refused', async () => {
    const labels = { app: 'a' }
    const template = { metadata: { labels }, spec: podNamed('p').spec }
    const body = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: { selector: { matchLabels: labels }, template },
    }
    const inWarned = await ask('/apis/apps/v1/namespaces/warned/deployments', { body })
    expect(inWarned.code).toBe(201)
    expect(inWarned.warnings).toEqual([expect.stringMatching(/^would violate PodSecurity "restricted:latest": /)])
    const inRestricted = await ask('/apis/apps/v1/namespaces/restricted/deployments', { body })
    expect({ code: inRestricted.code, warnings: inRestricted.warnings }).toEqual({ code: 201, warnings: [] })
  })

  test('a label that names no level is refused', async () => {
    const body = namespaceNamed('wrong', { ...label('enforce', 'strict'), ...label('warn-version', 'v2.0') })
    const { code, message } = await ask('/api/v1/namespaces', { body })
    expect(code).toBe(422)
    expect(message).toBe(
      'Namespace "wrong" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, ' +
        'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "v2.0": must be "latest" or "v1.x"]',
    )
  })

  test('a namespace that becomes stricter warns of the pods that are there', async () => {
    await ask('/api/v1/namespaces', { body: namespaceNamed('tight') })
    for (const name of ['b', 'a']) await ask(place('tight'), { body: podNamed(name) })
    const body = { metadata: { labels: label('enforce', 'restricted') } }
    const { code, warnings } = await ask('/api/v1/namespaces/tight', { method: 'PATCH', body })
    expect(code).toBe(200)
    expect(warnings).toEqual([
      'existing pods in namespace "tight" violate the new PodSecurity enforce level "restricted:latest"',
      'a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
    ])
  })

  test('of very many pods some are looked at: those first that may be different', async () => {
    const name = 'many'
    const labels = label('enforce', 'restricted')
    const before = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: {} } } as Namespace
    const change = { kind: namespace, verb: 'UPDATE', name, old: before } as unknown as Change
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'r1', controller: true }]
    const pods = Array.from({ length: 3_010 }, (_, i) =>
      i < 3_009 ? podNamed(`r-${i}`, isolated, { ownerReferences }) : podNamed('z'),
    )
    const seen = { all: () => pods } as unknown as Reading
    const object = { ...before, metadata: { ...before.metadata, labels } }
    expect(podSecurity.validate?.({ ...change, object }, seen)?.warnings).toEqual([
      'new PodSecurity enforce level only checked against the first 3000 of 3010 existing pods',
      'existing pods in namespace "many" violate the new PodSecurity enforce level "restricted:latest"',
      'z: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
    ])
  })

  test('a pod that was there before may be changed, but gets no other image', async () => {
    const change = (body: object) => ask(`${place('tight')}/a`, { method: 'PATCH', body })
    expect((await change({ metadata: { labels: { seen: 'yes' } } })).code).toBe(200)
    const containers = [{ name: 'c', image: 'i:2' }]
    const type = 'application/strategic-merge-patch+json'
    const image = await ask(`${place('tight')}/a`, { method: 'PATCH', type, body: { spec: { containers } } })
    expect(image.code).toBe(403)
  })

  test('a container that is added for debugging is held to the level, too', async () => {
    const body = { spec: { ephemeralContainers: [{ name: 'd', image: 'i:1', securityContext: { privileged: true } }] } }
    await ask(place('baseline'), { body: podNamed('debugged') })
    const { code, message } = await ask(`${place('baseline')}/debugged/ephemeralcontainers`, { method: 'PATCH', body })
    expect(code).toBe(403)
    expect(message).toContain('privileged (container "d" must not set securityContext.privileged=true)')
  })
})
