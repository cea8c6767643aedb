// The process runtime on this machine, with each of its shims.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openProcess } from '../../src/drivers/runtime/process.ts'
import { world } from '../runtime-specs.ts'
import { runtimeSuite } from './runtime.ts'

const server = `const [address, port] = process.argv.slice(1)
require('net').createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)).listen(Number(port), address)`

for (const [index, shim] of (process.platform === 'linux'
  ? (['native', 'node'] as const)
  : (['node'] as const)
).entries())
  runtimeSuite({
    name: `process, ${shim} shim`,
    can: { podNetwork: false, isolation: false, mounts: false, terminals: shim === 'native' },
    port: 20_180 + 20 * index,
    echoServer: (address, port) => [process.execPath, '-e', server, address, String(port)],
    async start() {
      const folder = mkdtempSync(join(tmpdir(), 'frt-process-'))
      return {
        folder,
        image: 'host',
        stop: async () => rmSync(folder, { recursive: true, force: true }),
        open: signal => openProcess(world, { stateDir: join(folder, 'state'), shim }, signal),
      }
    },
  })
