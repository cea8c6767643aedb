// One Docker daemon per host, apart from the machine's own in every way: sockets, data, containerd, cgroups, network.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { daemon, end, isAlive, type ProcessId, run, until } from './command.ts'
import { type Net, onHost } from './hosts.ts'

export const dockerDir = (net: Net, i: number) => path.join(net.dir, `h${i}`, 'docker')
export const dockerSocket = (net: Net, i: number) => path.join(dockerDir(net, i), 'docker.sock')

export async function startDocker(net: Net, i: number): Promise<ProcessId> {
  const dir = dockerDir(net, i)
  await fs.mkdir(dir, { recursive: true })
  await fs.writeFile(path.join(dir, 'daemon.json'), '{}')
  const command = [
    'dockerd',
    `--config-file=${dir}/daemon.json`,
    `--data-root=${dir}/data`,
    `--exec-root=${dir}/exec`,
    `--host=unix://${dir}/docker.sock`,
    `--pidfile=${dir}/pid`,
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    '--ip-masq=false',
    '--ip-forward=false',
    '--userland-proxy=false',
    `--cgroup-parent=/${net.name}h${i}`,
    '--live-restore',
  ]
  const id = await daemon(onHost(net, i, command), path.join(dir, 'dockerd.log'))
  try {
    await until(`the Docker daemon of host${i} answers; its log is ${dir}/dockerd.log`, 60_000, async () => {
      if (!isAlive(id)) throw new Error(`dockerd of host${i} ended`)
      const { stdout } = await run(['curl', '-sS', '--unix-socket', `${dir}/docker.sock`, 'http://docker/_ping'])
      return stdout === 'OK'
    })
  } catch (error) {
    await powerOffDocker(net, i, id)
    throw error
  }
  return id
}

export function docker(net: Net, i: number, args: readonly string[]): Promise<{ stdout: string }> {
  return run(['docker', '-H', `unix://${dockerSocket(net, i)}`, ...args])
}

export async function loadImage(net: Net, i: number, archive: string): Promise<void> {
  await run(['docker', '-H', `unix://${dockerSocket(net, i)}`, 'load', '-i', archive], { timeoutMs: 120_000 })
}

/** Ends the daemon and everything it runs. */
export async function stopDocker(net: Net, i: number, id: ProcessId): Promise<void> {
  if (isAlive(id)) {
    const { stdout } = await docker(net, i, ['ps', '-q'])
    const running = stdout.split('\n').filter(line => line !== '')
    if (running.length > 0) await docker(net, i, ['kill', ...running]).catch(() => undefined)
    await end(id, 'SIGTERM', 30_000).catch(() => end(id, 'SIGKILL', 10_000))
  }
  await endContainerd(net, i)
}

/** As a pulled plug: daemon, containerd, shims and every process of every container, at once. */
export async function powerOffDocker(net: Net, i: number, id: ProcessId): Promise<void> {
  await end(id, 'SIGKILL', 10_000)
  await endContainerd(net, i)
}

async function endContainerd(net: Net, i: number): Promise<void> {
  const dir = dockerDir(net, i)
  // containerd and its shims are known by our own exec-root on their command lines.
  const { stdout } = await run(['pgrep', '-f', `${dir}/exec`]).catch(() => ({ stdout: '' }))
  for (const pid of stdout.split('\n').filter(line => line !== '')) kill(Number(pid))
  for (const pid of await cgroupProcesses(`/${net.name}h${i}`)) kill(pid)
  // Left behind, it makes the next daemon wait for a containerd that is gone.
  await fs.rm(path.join(dir, 'exec/containerd/containerd.pid'), { force: true })
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function cgroupProcesses(parent: string): Promise<number[]> {
  const root = (await fs.stat('/sys/fs/cgroup/pids').catch(() => undefined)) ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup'
  const { stdout } = await run(['find', `${root}${parent}`, '-name', 'cgroup.procs']).catch(() => ({ stdout: '' }))
  const files = stdout.split('\n').filter(line => line !== '')
  const texts = await Promise.all(files.map(file => fs.readFile(file, 'utf8').catch(() => '')))
  return texts.flatMap(text =>
    text
      .split('\n')
      .filter(line => line !== '')
      .map(Number),
  )
}
