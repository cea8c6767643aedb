// A Docker daemon of the test's own: it shares nothing with one that the machine may run, and touches no firewall.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bytes } from '../src/lib/bytes.ts'

export type Dockerd = {
  readonly socketPath: string
  readonly folder: string
  load(archive: Bytes): Promise<void>
  /** Kills the daemon alone; its containers go on running. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Runs in the caller's namespaces. `prefix` names its folder and its cgroup. */
export async function startDockerd(prefix: string): Promise<Dockerd> {
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`))
  const socketPath = join(folder, 'docker.sock')
  mkdirSync(join(folder, 'exec'))
  writeFileSync(join(folder, 'daemon.json'), '{}')
  const log = openSync(join(folder, 'dockerd.log'), 'a')
  let daemon: ReturnType<typeof spawn> | undefined

  async function start(): Promise<void> {
    const flags = [
      ...['--config-file', join(folder, 'daemon.json'), '--data-root', join(folder, 'data')],
      ...['--exec-root', join(folder, 'exec'), '-H', `unix://${socketPath}`, '--pidfile', join(folder, 'pid')],
      ...['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-masq=false', '--ip-forward=false'],
      ...['--userland-proxy=false', '--cgroup-parent', `/${prefix}`, '--live-restore'],
    ]
    daemon = spawn('dockerd', flags, { stdio: ['ignore', log, log] })
    for (let round = 0; round < 600; round++) {
      if (existsSync(socketPath) && (await ping(socketPath))) return
      if (daemon.exitCode !== null) break
      await sleep(50)
    }
    throw new Error(`dockerd did not come up:\n${readFileSync(join(folder, 'dockerd.log'), 'utf8').slice(-4_000)}`)
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = daemon
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = new Promise(resolve => ending.once('exit', resolve))
    ending.kill(signal)
    await ended
  }
  await start()
  return {
    socketPath,
    folder,
    load: archive => post(socketPath, '/images/load', archive),
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      await end('SIGTERM')
      unmountBelow(folder)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A daemon that may restart its containers leaves mounts behind. */
function unmountBelow(folder: string): void {
  const targets = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '')
    .filter(target => target === folder || target.startsWith(`${folder}/`))
  for (const target of targets.toReversed()) spawnSync('umount', ['-l', target])
}

function ping(socketPath: string): Promise<boolean> {
  return new Promise(resolve => {
    const asked = request({ socketPath, path: '/_ping', agent: false }, answer => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    asked.on('error', () => resolve(false))
    asked.end()
  })
}

function post(socketPath: string, path: string, body: Bytes): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/x-tar', 'Content-Length': body.length }
    const asked = request({ socketPath, path, method: 'POST', headers, agent: false }, answer => {
      let said = ''
      answer.on('data', chunk => {
        said += chunk
      })
      answer.on('end', () => {
        if (answer.statusCode === 200 && !said.includes('"error"')) resolve()
        else reject(new Error(said))
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}
