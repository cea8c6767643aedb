// The runc runtime, in namespaces of its own.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRunc } from '../../src/drivers/runtime/runc.ts'
import { busyboxArchive } from '../images.ts'
import { insideNamespaces } from '../namespaces.ts'
import { world } from '../runtime-specs.ts'
import { runtimeSuite } from './runtime.ts'

function missing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux'
  if (spawnSync('runc', ['--version']).status !== 0) return 'runc'
  return undefined
}

if (insideNamespaces('test/conformance/runtime-runc.test.ts', 'frt', missing()))
  runtimeSuite({
    name: 'runc',
    can: { podNetwork: true, isolation: true, mounts: true, terminals: true },
    port: 8_080,
    echoServer: (address, port) => ['nc', '-l', '-p', String(port), address, '-e', 'cat'],
    async start() {
      const folder = mkdtempSync(join(tmpdir(), 'frt-runc-'))
      const image = `tar:${folder}/busybox.tar`
      const userImage = `file://${folder}/nobody.tar`
      writeFileSync(join(folder, 'busybox.tar'), busyboxArchive())
      writeFileSync(join(folder, 'nobody.tar'), busyboxArchive('busybox:nobody', 'nobody'))
      const stateDir = join(folder, 'state')
      return {
        folder,
        image,
        userImage,
        stop: async () => rmSync(folder, { recursive: true, force: true }),
        async open(signal) {
          const runtime = await openRunc(world, { stateDir, mtu: 1_450, nodePodIp: () => '10.213.0.1' }, signal)
          for (const name of [image, userImage]) await runtime.perform({ kind: 'pull', image: name, auths: [] }, signal)
          return runtime
        },
      }
    },
  })
