// How Docker's answers become what the kubelet sees.
import { expect, test } from 'vitest'
import { type Inspected, observedContainer } from '../../src/drivers/runtime/docker-observe.ts'

const identity = {
  type: 'container',
  uid: 'u',
  namespace: 'default',
  pod: 'p',
  name: 'main',
  kind: 'app',
  attempt: 0,
  specHash: 'h',
  image: 'a:1',
  sandboxId: 's',
  cgroupParent: '/pods',
  annotations: {},
} as const
const inspected = (state: Partial<Inspected['State']>): Inspected => ({
  Id: 'c',
  Created: '2026-01-02T03:04:04Z',
  Image: 'sha256:0',
  State: {
    Status: 'exited',
    Pid: 0,
    ExitCode: 7,
    Error: '',
    OOMKilled: false,
    StartedAt: '2026-01-02T03:04:05.185Z',
    FinishedAt: '2026-01-02T03:04:05.184Z',
    ...state,
  },
  Config: { Labels: null },
  HostConfig: { NetworkMode: '', PidMode: '', IpcMode: '' },
  NetworkSettings: {},
})

test('a container that Docker saw end before it saw it start has run for no time', () => {
  const { state } = observedContainer(inspected({}), identity, 'i')
  const atMs = Date.parse('2026-01-02T03:04:05.185Z')
  expect(state).toMatchObject({ kind: 'exited', exitCode: 7, startedMs: atMs, finishedMs: atMs })
})

test('killed for memory is said only of a main process that died of it', () => {
  expect(observedContainer(inspected({ OOMKilled: true, ExitCode: 3 }), identity, 'i').state).toMatchObject({
    oomKilled: false,
  })
  expect(observedContainer(inspected({ OOMKilled: true, ExitCode: 137 }), identity, 'i').state).toMatchObject({
    oomKilled: true,
  })
})
