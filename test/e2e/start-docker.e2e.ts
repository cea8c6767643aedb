// `npm start` on a machine with Docker: a host of its own with a daemon and nothing else.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ProcessId, run, until } from '../../testnet/command.ts'
import { docker, dockerSocket, startDocker, stopDocker } from '../../testnet/docker.ts'
import { makeNet, type Net, onHost, removeNet } from '../../testnet/hosts.ts'

const net: Net = { name: 'flsd', dir: mkdtempSync(path.join(tmpdir(), 'flotilla-start-')), hosts: 1 }
let daemon: ProcessId
let child: ChildProcess
let said = ''

beforeAll(async () => {
  await makeNet(net)
  daemon = await startDocker(net, 1)
  const command = ['npm', 'start', '--', `--docker-socket=${dockerSocket(net, 1)}`]
  const [file = '', ...args] = onHost(net, 1, command)
  child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', part => {
      said += String(part)
    })
  }
  await until('npm start is ready', 120_000, async () => {
    if (child.exitCode !== null) throw new Error(said)
    return /^ready: /m.test(said)
  })
})

afterAll(async () => {
  if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL')
  await stopDocker(net, 1, daemon)
  await removeNet(net)
  rmSync(net.dir, { recursive: true, force: true })
})

test('it uses Docker, the application answers from containers, and all ends with it', async () => {
  expect(said).toMatch(/^using Docker at /m)
  const url = /app=(\S+)$/m.exec(said)?.[1] ?? ''
  const seen = new Set<string>()
  await until('pods of all peers answer', 30_000, async () => {
    const { stdout } = await run(onHost(net, 1, ['curl', '-sf', '-m', '2', url]))
    seen.add(/ on (peer-\d)/.exec(stdout)?.[1] ?? stdout)
    return seen.size === 3
  })
  const { stdout: running } = await docker(net, 1, ['ps', '--format', '{{.Image}}'])
  expect(running.split('\n').filter(image => image === 'flotilla.dev/demo:1').length).toBe(3)
  const ended = new Promise(resolve => child.once('exit', resolve))
  process.kill(-(child.pid ?? 0), 'SIGINT')
  await ended
  expect(said).not.toMatch(/was not removed|did not end/)
  await until('no container is left', 30_000, async () => (await docker(net, 1, ['ps', '-aq'])).stdout === '')
})
