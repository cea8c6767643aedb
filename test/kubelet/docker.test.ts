// The kubelet on Docker, looking at the effect: what a container really sees of hosts file, volumes, subPaths and messages.
// In namespaces of its own.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { configMap as configMapKind } from '../../src/api/kinds/configmap.ts'
import { type Pod, pod as podKind } from '../../src/api/kinds/pod.ts'
import { openDocker } from '../../src/drivers/runtime/docker.ts'
import { type Dockerd, startDockerd } from '../dockerd.ts'
import { busyboxArchive } from '../images.ts'
import { insideNamespaces } from '../namespaces.ts'
import { readLogs, world } from '../runtime-specs.ts'
import { openRig, type Rig, statsOver } from './rig.ts'

function missing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux'
  if (spawnSync('dockerd', ['--version']).status !== 0) return 'dockerd'
  return undefined
}

const shell = (script: string, more: object = {}) => ({
  ...{ name: 'main', image: 'busybox:test', imagePullPolicy: 'Never' },
  command: ['sh', '-c', script],
  ...more,
})

if (insideNamespaces('test/kubelet/docker.test.ts', 'fkb', missing()))
  describe('the kubelet on Docker', () => {
    const { signal } = new AbortController()
    let dockerd: Dockerd
    let rig: Rig

    beforeAll(async () => {
      dockerd = await startDockerd('fkb')
      await dockerd.load(busyboxArchive())
    }, 180_000)
    beforeEach(async () => {
      const open = async () => {
        const stateDir = join(dockerd.folder, 'state')
        mkdirSync(stateDir, { recursive: true })
        const options = { socketPath: dockerd.socketPath, stateDir, owner: 'test/one', mtu: 1_450 }
        const opened = await openDocker(world, { ...options, nodePodIp: () => '10.214.0.1' }, signal)
        if (opened === undefined) throw new Error('no Docker')
        return opened
      }
      rig = await openRig(open, '10.214.0.0/24', '/fkb')
    })
    afterEach(async () => await rig.close(), 60_000)
    afterAll(async () => await dockerd?.stop(), 120_000)

    const mainOf = (pod: Pod | undefined) => pod?.status.containerStatuses?.find(one => one.name === 'main')
    const ended = (name: string) =>
      rig.until(
        () => (['Succeeded', 'Failed'].includes(rig.pod(name)?.status.phase ?? '') ? rig.pod(name) : undefined),
        name,
      )
    const logOf = async (pod: Pod) => {
      const id = mainOf(pod)?.containerID?.replace('docker://', '') ?? ''
      return await readLogs(rig.runtime, id)
    }

    test('what each container uses is measured, and the node as a whole', async () => {
      const { kubelet } = rig.agent()
      const idle = shell('exec sleep 1000', { name: 'idle' })
      await rig.run('busy', { containers: [shell('while :; do :; done'), idle] })
      const found = await rig.until(async () => {
        const reply = await statsOver(kubelet)
        return reply.pods.length > 0 ? reply : undefined
      }, 'its use')
      const [pod] = found.pods
      const used = new Map(pod?.containers.map(({ name, usage }) => [name, usage]))
      expect([...used.keys()].toSorted()).toEqual(['idle', 'main'])
      expect(used.get('main')?.cpuNanocores).toBeGreaterThan(used.get('idle')?.cpuNanocores ?? 0n)
      expect(used.get('idle')?.memoryWorkingSetBytes).toBeGreaterThan(0n)
      // A shell and a sleep: if this were the machine, it would be far more.
      expect(used.get('main')?.memoryWorkingSetBytes).toBeLessThan(64n * 2n ** 20n)
      expect(found.node?.memoryWorkingSetBytes).toBeGreaterThan(used.get('main')?.memoryWorkingSetBytes ?? 0n)
    }, 120_000)

    test('hosts file, updated configMap, subPathExpr on tmpfs for any user, and the last word', async () => {
      rig.agent()
      const key = { name: 'settings', namespace: 'default' }
      const map = await rig.client.create(configMapKind, { metadata: key, data: { word: 'old' } }, signal)
      const script = [
        'head -1 /etc/hosts; grep -c 10.214.0 /etc/hosts; id -u',
        'echo mine > /data/file; mount | grep -c "on /data type tmpfs"',
        'echo up; until grep -q new /etc/settings/word; do sleep 0.1; done; echo seen',
        'echo goodbye > /dev/termination-log; exit 3',
      ].join('\n')
      await rig.run('web', {
        restartPolicy: 'Never',
        volumes: [
          { name: 'settings', configMap: { name: 'settings' } },
          { name: 'data', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        ],
        containers: [
          shell(script, {
            securityContext: { runAsUser: 1234 },
            env: [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
            volumeMounts: [
              { name: 'settings', mountPath: '/etc/settings' },
              { name: 'data', mountPath: '/data', subPathExpr: 'of/$(POD)' },
            ],
          }),
        ],
      })
      const running = await rig.until(
        () => (mainOf(rig.pod('web'))?.state?.running ? rig.pod('web') : undefined),
        'web',
      )
      await rig.until(async () => (await logOf(running)).includes('up'), 'the script has begun')
      rig.client.change(configMapKind, map, old => ({ ...old, data: { word: 'new' } }))
      const pod = await ended('web')
      expect((await logOf(pod)).trim().split('\n')).toEqual([
        ...['# Kubernetes-managed hosts file.', '1', '1234', '1', 'up', 'seen'],
      ])
      expect(mainOf(pod)?.state?.terminated).toMatchObject({ exitCode: 3, message: 'goodbye\n' })
      await rig.client.delete(podKind, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 0 }, signal)
      const folder = join(rig.folder, 'state/pods', pod.metadata.uid)
      await rig.until(() => !existsSync(folder), 'its folder is gone, tmpfs and all')
    }, 120_000)

    test('a pod is adopted by the next agent, and a deletion in progress is gone on with and hurried', async () => {
      const first = rig.agent()
      const stubborn = shell('trap "" TERM; echo up; while true; do sleep 0.1; done')
      await rig.run('web', { terminationGracePeriodSeconds: 600, containers: [stubborn] })
      const pod = await rig.until(() => (mainOf(rig.pod('web'))?.state?.running ? rig.pod('web') : undefined), 'web')
      await rig.until(async () => (await logOf(pod)).includes('up'), 'the script has begun')
      await rig.client.delete(podKind, { namespace: 'default', name: 'web' }, {}, signal)
      await first.stop()
      const second = rig.agent()
      await rig.until(() => second.kubelet.observed().length > 0, 'the second agent has looked')
      expect(mainOf(rig.pod('web'))?.containerID).toBe(mainOf(pod)?.containerID)
      await rig.client.delete(podKind, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 0 }, signal)
      await rig.until(async () => (await rig.runtime.observe(signal)).length === 0, 'nothing is left of it')
    }, 120_000)
  })
