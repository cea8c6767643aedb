// The Docker runtime against a daemon of the test's own, in namespaces of its own.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openDocker } from '../../src/drivers/runtime/docker.ts'
import { startDockerd } from '../dockerd.ts'
import { busyboxArchive } from '../images.ts'
import { insideNamespaces } from '../namespaces.ts'
import { world } from '../runtime-specs.ts'
import { runtimeSuite } from './runtime.ts'

function missing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux'
  if (spawnSync('dockerd', ['--version']).status !== 0) return 'dockerd'
  return undefined
}

if (insideNamespaces('test/conformance/runtime-docker.test.ts', 'frt', missing()))
  runtimeSuite({
    name: 'docker',
    can: { podNetwork: true, isolation: true, mounts: true, terminals: true },
    port: 8_080,
    echoServer: (address, port) => ['nc', '-l', '-p', String(port), address, '-e', 'cat'],
    async start() {
      const dockerd = await startDockerd('frt')
      await dockerd.load(busyboxArchive('busybox:test'))
      await dockerd.load(busyboxArchive('busybox:nobody', 'nobody'))
      const stateDir = join(dockerd.folder, 'state')
      mkdirSync(stateDir)
      return {
        folder: dockerd.folder,
        image: 'busybox:test',
        userImage: 'busybox:nobody',
        stop: dockerd.stop,
        async open(signal) {
          const options = {
            socketPath: dockerd.socketPath,
            stateDir,
            owner: 'test/node-1',
            mtu: 1_450,
            nodePodIp: () => '10.213.0.1',
          }
          const runtime = await openDocker(world, options, signal)
          if (runtime === undefined) throw new Error('no Docker')
          return runtime
        },
      }
    },
  })
