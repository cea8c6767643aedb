// What a pod may say of its system: Windows knows other rights than Linux (kubernetes-api.md A: pods, security-context).
import { describe, expect, test } from 'vitest'
import { podNamed } from '../../apiserver/ask.ts'
import { type Answer, oneApi, post } from './wire.ts'

const pods = '/api/v1/namespaces/default/pods'
const container = (securityContext: object = {}) => ({ name: 'c', image: 'i:1', securityContext })
const causesOf = ({ body }: Answer) =>
  body.details?.causes?.map(({ field = '', message }) => `${field}: ${message}`) ?? []
const windows = { os: { name: 'windows' } }
const refused = (fields: readonly string[]) =>
  fields.map(field => `${field}: Forbidden: cannot be set for a windows pod`)
const own = 'spec.containers[0].securityContext'

describe('pod os', () => {
  const one = oneApi()
  const told = async (spec: object) => causesOf(await post(one.api, `${pods}?dryRun=All`, podNamed('asked', spec)))

  test('is linux or windows', async () => {
    expect(await told({ os: { name: 'plan9' } })).toEqual([
      'spec.os: Unsupported value: "plan9": supported values: "linux", "windows"',
    ])
    expect(await told({ os: { name: 'linux' } })).toEqual([])
    expect(await told(windows)).toEqual([])
  })

  test('windows has none of the rights of Linux, in the pod', async () => {
    const spec = {
      ...windows,
      hostUsers: true,
      hostPID: true,
      hostIPC: true,
      shareProcessNamespace: false,
      securityContext: {
        appArmorProfile: { type: 'RuntimeDefault' },
        seLinuxOptions: { level: 's0' },
        seccompProfile: { type: 'RuntimeDefault' },
        fsGroup: 1,
        fsGroupChangePolicy: 'Always',
        sysctls: [{ name: 'net.ipv4.ip_forward', value: '1' }],
        runAsUser: 1,
        runAsGroup: 1,
        supplementalGroups: [1],
        supplementalGroupsPolicy: 'Merge',
      },
    }
    const { securityContext, os: _, ...rest } = spec
    const fields = [
      ...Object.keys(rest).map(field => `spec.${field}`),
      ...Object.keys(securityContext).map(field => `spec.securityContext.${field}`),
    ]
    expect(await told(spec)).toEqual(refused(fields))
    expect(await told({ ...windows, hostPID: false, hostIPC: false, securityContext: { sysctls: [] } })).toEqual([])
  })

  test('windows has none of the rights of Linux, in any container', async () => {
    const context = {
      appArmorProfile: { type: 'RuntimeDefault' },
      seLinuxOptions: { level: 's0' },
      seccompProfile: { type: 'RuntimeDefault' },
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: false,
      privileged: false,
      allowPrivilegeEscalation: false,
      procMount: 'Default',
      runAsUser: 1,
      runAsGroup: 1,
    }
    const initContainers = [{ ...container({ runAsUser: 1 }), name: 'i' }]
    expect(await told({ ...windows, containers: [container(context)], initContainers })).toEqual(
      refused([
        'spec.initContainers[0].securityContext.runAsUser',
        ...Object.keys(context).map(field => `${own}.${field}`),
      ]),
    )
    expect(await told({ ...windows, containers: [container({ runAsNonRoot: true })] })).toEqual([])
  })

  test('linux has no options of Windows', async () => {
    const windowsOptions = { runAsUserName: 'ContainerUser' }
    const spec = {
      os: { name: 'linux' },
      securityContext: { windowsOptions },
      containers: [container({ windowsOptions })],
    }
    const why = 'Forbidden: windows options cannot be set for a linux pod'
    expect(await told(spec)).toEqual([`spec.securityContext.windowsOptions: ${why}`, `${own}.windowsOptions: ${why}`])
    const { os: _, ...silent } = spec
    expect(await told(silent)).toEqual([])
    expect(await told({ ...spec, ...windows })).toEqual([])
  })

  test.each<[string, string]>([
    ['', 'runAsUserName cannot be an empty string'],
    ['a\tb', 'runAsUserName cannot contain control characters'],
    ['a\\b\\c', 'runAsUserName cannot contain more than one backslash'],
    ['.a\\b', "runAsUserName's Domain doesn't match the NetBios nor the DNS format"],
    ['a\\', "runAsUserName's User cannot be empty"],
    ['u'.repeat(105), "runAsUserName's User length must not be longer than 104 characters"],
    ['. .', "runAsUserName's User cannot contain only periods or spaces"],
    ['a@b', `runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`],
  ])('the user %j is none', async (runAsUserName, why) => {
    expect(await told({ containers: [container({ windowsOptions: { runAsUserName } })] })).toEqual([
      `${own}.windowsOptions.runAsUserName: Invalid value: ${JSON.stringify(runAsUserName)}: ${why}`,
    ])
  })

  test('users of a domain, and credentials that are named, are taken', async () => {
    for (const runAsUserName of ['ContainerAdministrator', 'NT AUTHORITY\\Local Service', 'corp.example.com\\me']) {
      expect(await told({ securityContext: { windowsOptions: { runAsUserName } } })).toEqual([])
    }
    const windowsOptions = { gmsaCredentialSpecName: 'Big', gmsaCredentialSpec: '' }
    expect(await told({ securityContext: { windowsOptions } })).toEqual([
      expect.stringMatching(/^spec\.securityContext\.windowsOptions\.gmsaCredentialSpecName: Invalid value: "Big": /),
      'spec.securityContext.windowsOptions.gmsaCredentialSpec: Invalid value: "": gmsaCredentialSpec cannot be an empty string',
    ])
  })

  test('processes of the host are all containers of a pod, on its network', async () => {
    const host = (hostProcess: boolean) => ({ windowsOptions: { hostProcess } })
    const two = (a: object, b: object) => [container(a), { ...container(b), name: 'd' }]
    expect(await told({ ...windows, hostNetwork: true, securityContext: host(true) })).toEqual([])
    expect(await told({ ...windows, containers: two(host(true), {}) })).toEqual([
      'spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess containers',
      'spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers',
    ])
    const differs = {
      ...windows,
      hostNetwork: true,
      securityContext: host(false),
      containers: two(host(true), host(true)),
    }
    expect(await told(differs)).toEqual(
      [0, 1].map(
        i =>
          `spec.containers[${i}].securityContext.windowsOptions.hostProcess: Invalid value: true: pod hostProcess value must be identical if both are specified, was false`,
      ),
    )
  })
})

describe('hostUsers', () => {
  const one = oneApi()
  const told = async (spec: object) => causesOf(await post(one.api, `${pods}?dryRun=All`, podNamed('asked', spec)))

  test('of its own go with none of the host’s namespaces, and only they see all of /proc', async () => {
    expect(await told({ hostUsers: false, hostNetwork: true, hostPID: true, hostIPC: true })).toEqual(
      ['hostNetwork', 'hostPID', 'hostIPC'].map(field => `spec.${field}: Forbidden: when \`hostUsers\` is false`),
    )
    const containers = [container({ procMount: 'Unmasked' })]
    expect(await told({ containers })).toEqual([
      `${own}.procMount: Invalid value: "Unmasked": \`hostUsers\` must be false to use \`Unmasked\``,
    ])
    expect(await told({ hostUsers: false, containers })).toEqual([])
  })
})
