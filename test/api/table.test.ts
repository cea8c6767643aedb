import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../src/api/kind.ts'
import { node } from '../../src/api/kinds/node.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { kinds } from '../../src/api/kinds.ts'

import { columnsOf, partialObjectMetadataList, toTable } from '../../src/api/table.ts'
import { created, kindNamed, nowMs, parsed } from './make.ts'

const at = (secondsAgo: number) => new Date(nowMs - secondsAgo * 1_000).toISOString().replace('.000Z', 'Z')

type Spec = { readonly init?: readonly object[]; readonly count?: number; readonly more?: object }

/** The READY, STATUS and RESTARTS of a pod with this status. */
function row(status: object, { init = [], count = 1, more = {} }: Spec = {}): readonly unknown[] {
  const containers = Array.from({ length: count }, (_, i) => ({ name: `c${i}`, image: 'a' }))
  const object = parsed(pod, { metadata: { name: 'p', ...more }, spec: { containers, initContainers: init }, status })
  const { rows } = toTable(pod, [object], nowMs) as { rows: { cells: unknown[] }[] }
  return (rows[0]?.cells ?? []).slice(1, 4)
}

const waiting = (reason: string) => ({ waiting: { reason } })
const ended = (exitCode: number, reason?: string) => ({ terminated: { exitCode, ...(reason && { reason }) } })
const running = { running: { startedAt: at(10) } }
const status = (name: string, state: object, more: object = {}) => ({
  name,
  state,
  ready: false,
  restartCount: 0,
  image: 'a',
  imageID: '',
  ...more,
})

describe('the status of a pod reads as kubectl users know it', () => {
  const ready = { conditions: [{ type: 'Ready', status: 'True' }] }
  test.each<[string, readonly unknown[], readonly unknown[]]>([
    ['pending', row({ phase: 'Pending' }), ['0/1', 'Pending', '0']],
    [
      'running',
      row({ phase: 'Running', containerStatuses: [status('c0', running, { ready: true })] }),
      ['1/1', 'Running', '0'],
    ],
    [
      'creating',
      row({ phase: 'Pending', containerStatuses: [status('c0', waiting('ContainerCreating'))] }),
      ['0/1', 'ContainerCreating', '0'],
    ],
    [
      'completed',
      row({ phase: 'Succeeded', containerStatuses: [status('c0', ended(0, 'Completed'))] }),
      ['0/1', 'Completed', '0'],
    ],
    ['an exit code', row({ phase: 'Failed', containerStatuses: [status('c0', ended(3))] }), ['0/1', 'ExitCode:3', '0']],
    ['evicted', row({ phase: 'Failed', reason: 'Evicted' }), ['0/1', 'Evicted', '0']],
    [
      'crashing, with the time of the last restart',
      row({
        phase: 'Running',
        containerStatuses: [
          status('c0', waiting('CrashLoopBackOff'), {
            restartCount: 3,
            lastState: { terminated: { exitCode: 1, finishedAt: at(5) } },
          }),
        ],
      }),
      ['0/1', 'CrashLoopBackOff', '3 (5s ago)'],
    ],
    [
      'one of two done while the other runs',
      row(
        {
          phase: 'Running',
          ...ready,
          containerStatuses: [status('c0', running, { ready: true }), status('c1', ended(0, 'Completed'))],
        },
        { count: 2 },
      ),
      ['1/2', 'Running', '0'],
    ],
    [
      'the same without the condition Ready',
      row(
        {
          phase: 'Running',
          containerStatuses: [status('c0', running, { ready: true }), status('c1', ended(0, 'Completed'))],
        },
        { count: 2 },
      ),
      ['1/2', 'NotReady', '0'],
    ],
    [
      'initializing',
      row(
        { phase: 'Pending', initContainerStatuses: [status('i', running)] },
        { init: [{ name: 'i' }, { name: 'j' }] },
      ),
      ['0/1', 'Init:0/2', '0'],
    ],
    [
      'a failing init container',
      row(
        { phase: 'Pending', initContainerStatuses: [status('i', waiting('CrashLoopBackOff'), { restartCount: 2 })] },
        { init: [{ name: 'i' }] },
      ),
      ['0/1', 'Init:CrashLoopBackOff', '2'],
    ],
    [
      'a failed init container',
      row({ phase: 'Pending', initContainerStatuses: [status('i', ended(1, 'Error'))] }, { init: [{ name: 'i' }] }),
      ['0/1', 'Init:Error', '0'],
    ],
    [
      'a sidecar that started counts as a container',
      row(
        {
          phase: 'Running',
          initContainerStatuses: [status('s', running, { started: true, ready: true, restartCount: 1 })],
          containerStatuses: [status('c0', running, { ready: true })],
        },
        { init: [{ name: 's', restartPolicy: 'Always' }] },
      ),
      ['2/2', 'Running', '1'],
    ],
    [
      'going',
      row(
        { phase: 'Running', containerStatuses: [status('c0', running, { ready: true })] },
        { more: { deletionTimestamp: at(1) } },
      ),
      ['1/1', 'Terminating', '0'],
    ],
    [
      'lost',
      row({ phase: 'Running', reason: 'NodeLost' }, { more: { deletionTimestamp: at(1) } }),
      ['0/1', 'Unknown', '0'],
    ],
    [
      'gated',
      row({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }),
      ['0/1', 'SchedulingGated', '0'],
    ],
  ])('%s', (_, found, expected) => expect(found).toEqual(expected))
})

/** NAME and cells of each column, wide ones in brackets. */
function shown(name: string, value: object): Record<string, unknown> {
  const kind = kindNamed(name)
  const object = parsed(kind, { metadata: { name: 'x', creationTimestamp: at(90) }, ...value }, 'Strict')
  const cells = columnsOf(kind).map(column => [
    column.priority === 1 ? `(${column.name})` : column.name,
    column.cell(object, nowMs),
  ])
  return Object.fromEntries(cells as [string, unknown][])
}

describe('each kind has the columns of upstream, in their order', () => {
  test.each<[string, string]>([
    ['Namespace', 'Name Status Age'],
    [
      'Node',
      'Name Status Roles Age Version (Internal-IP) (External-IP) (OS-Image) (Kernel-Version) (Container-Runtime)',
    ],
    ['Pod', 'Name Ready Status Restarts Age (IP) (Node) (Nominated Node) (Readiness Gates)'],
    ['Service', 'Name Type Cluster-IP External-IP Port(s) Age (Selector)'],
    ['Endpoints', 'Name Endpoints Age'],
    ['EndpointSlice', 'Name AddressType Ports Endpoints Age'],
    ['ConfigMap', 'Name Data Age'],
    ['Secret', 'Name Type Data Age'],
    ['ServiceAccount', 'Name Secrets Age'],
    ['Event', 'Last Seen Type Reason Object (Subobject) (Source) Message (First Seen) (Count) (Name)'],
    ['Lease', 'Name Holder Age'],
    ['Deployment', 'Name Ready Up-to-date Available Age (Containers) (Images) (Selector)'],
    ['ReplicaSet', 'Name Desired Current Ready Age (Containers) (Images) (Selector)'],
    ['DaemonSet', 'Name Desired Current Ready Up-to-date Available Node Selector Age (Containers) (Images) (Selector)'],
    ['Job', 'Name Status Completions Duration Age (Containers) (Images) (Selector)'],
    ['StatefulSet', 'Name Ready Age (Containers) (Images)'],
    ['CronJob', 'Name Schedule Timezone Suspend Active Last Schedule Age (Containers) (Images) (Selector)'],
    ['HorizontalPodAutoscaler', 'Name Reference Targets MinPods MaxPods Replicas Age'],
    ['PodDisruptionBudget', 'Name Min Available Max Unavailable Allowed Disruptions Age'],
    ['PriorityClass', 'Name Value Global-Default Age PreemptionPolicy'],
    ['ControllerRevision', 'Name Controller Revision Age'],
    ['PodTemplate', 'Name Containers Images Pod Labels'],
  ])('%s', (name, columns) => {
    const names = columnsOf(kindNamed(name)).map(column => (column.priority === 1 ? `(${column.name})` : column.name))
    expect(names.join(' ')).toBe(columns)
  })
})

test('services show their addresses and ports', () => {
  const spec = {
    type: 'NodePort',
    clusterIP: '10.0.0.1',
    clusterIPs: ['10.0.0.1'],
    ports: [
      { port: 80, nodePort: 30080, protocol: 'TCP' },
      { port: 53, protocol: 'UDP' },
    ],
    selector: { b: '2', a: '1' },
  }
  expect(shown('Service', { spec })).toEqual({
    Name: 'x',
    Type: 'NodePort',
    'Cluster-IP': '10.0.0.1',
    'External-IP': '<none>',
    'Port(s)': '80:30080/TCP,53/UDP',
    Age: '90s',
    '(Selector)': 'a=1,b=2',
  })
  expect(shown('Service', { spec: { type: 'LoadBalancer' } })['External-IP']).toBe('<pending>')
  expect(shown('Service', { spec: { type: 'ExternalName', externalName: 'a.b' } })['External-IP']).toBe('a.b')
})

test('nodes show readiness, roles and addresses', () => {
  const object = {
    metadata: {
      name: 'n',
      creationTimestamp: at(90),
      labels: { 'node-role.kubernetes.io/worker': '', 'kubernetes.io/role': 'edge' },
    },
    spec: { unschedulable: true },
    status: {
      conditions: [{ type: 'Ready', status: 'Unknown' }],
      addresses: [{ type: 'InternalIP', address: '192.168.0.2' }],
    },
  }
  expect(shown('Node', object)).toMatchObject({
    Status: 'NotReady,SchedulingDisabled',
    Roles: 'edge,worker',
    '(Internal-IP)': '192.168.0.2',
    '(OS-Image)': '<unknown>',
  })
})

test('long lists of endpoints are cut', () => {
  const addresses = [1, 2, 3, 4, 5].map(n => ({ ip: `10.0.0.${n}` }))
  const subsets = [{ addresses, ports: [{ port: 80 }] }]
  expect(shown('Endpoints', { subsets })['Endpoints']).toBe('10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...')
  expect(shown('Endpoints', {})['Endpoints']).toBe('<none>')
})

test('jobs show how long they took', () => {
  const job = {
    spec: { completions: 3 },
    status: {
      succeeded: 3,
      startTime: at(100),
      completionTime: at(40),
      conditions: [{ type: 'Complete', status: 'True' }],
    },
  }
  expect(shown('Job', job)).toMatchObject({ Status: 'Complete', Completions: '3/3', Duration: '60s' })
  expect(shown('Job', { spec: { parallelism: 2 } })).toMatchObject({
    Status: 'Running',
    Completions: '0/1 of 2',
    Duration: '',
  })
})

test('events are dated by when they were last seen', () => {
  const about = { involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' }, message: ' pulled\n' }
  expect(shown('Event', { ...about, firstTimestamp: at(500), lastTimestamp: at(30), count: 4 })).toMatchObject({
    'Last Seen': '30s',
    Object: 'pod/p',
    Message: 'pulled',
    '(First Seen)': '8m20s',
    '(Count)': 4,
  })
  expect(shown('Event', { ...about, eventTime: '2026-01-02T03:04:00.000000Z' })['Last Seen']).toBe('5s')
})

test('a table carries metadata for each row, or the object, or nothing', () => {
  const object = created(node, { metadata: { name: 'n' } })
  const rowsOf = (includeObject: 'None' | 'Metadata' | 'Object') =>
    (toTable(node, [object], nowMs, { includeObject }) as { rows: { object?: { kind: string } }[] }).rows
  expect(rowsOf('None')[0]).not.toHaveProperty('object')
  expect(rowsOf('Metadata')[0]?.object).toEqual({
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata,
  })
  expect(rowsOf('Object')[0]?.object?.kind).toBe('Node')
  const later = toTable(node, [object], nowMs, { columnDefinitions: false, listMeta: { resourceVersion: '7' } })
  expect(later).toMatchObject({
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: '7' },
    columnDefinitions: null,
  })
  expect(partialObjectMetadataList([object], { resourceVersion: '7' })).toMatchObject({
    kind: 'PartialObjectMetadataList',
    items: [{ metadata: { name: 'n' } }],
  })
})

test('every kind makes a row of an object that has nothing but a name', () => {
  for (const kind of kinds) {
    const object = {
      apiVersion: 'v1',
      kind: kind.kind,
      metadata: { name: 'x' },
      spec: {},
      involvedObject: {},
    } as unknown as KubeObject
    for (const column of columnsOf(kind))
      expect(['string', 'number', 'boolean', 'undefined']).toContain(typeof column.cell(object, nowMs))
  }
})
