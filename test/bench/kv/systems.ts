// The systems that the bench knows how to start: our own members and etcd's.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { build } from 'rolldown'
import type { Place, SystemKind } from './cluster.ts'

export const etcd: SystemKind = { name: 'etcd', saysReady: false, commandOf: etcdCommand }

/** etcd as its package configures it, but for room for what the bench writes. */
function etcdCommand({ index, dir, ports }: Place): readonly string[] {
  const client = `http://127.0.0.1:${ports[index]?.client}`
  const peer = `http://127.0.0.1:${ports[index]?.peer}`
  const cluster = ports.map((port, i) => `m${i}=http://127.0.0.1:${port.peer}`).join(',')
  const options = {
    name: `m${index}`,
    'data-dir': join(dir, 'data'),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': cluster,
    'quota-backend-bytes': String(8 * 1024 ** 3),
    logger: 'zap',
    'log-outputs': 'stderr',
    'log-level': 'error',
  }
  return ['etcd', ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])]
}

/** The version that is installed, undefined when there is none. */
export function etcdVersion(): string | undefined {
  const { status, stdout } = spawnSync('etcd', ['--version'], { encoding: 'utf8' })
  return status === 0 ? /etcd Version: (\S+)/.exec(stdout)?.[1] : undefined
}

const memberSource = join(import.meta.dirname, 'member.ts')
/** Beside the packages, one of which is native and stays where it is. */
const memberProgram = join(import.meta.dirname, '../../../node_modules/.cache/flotilla-bench/member.js')

/** Our member as it would be released, in one file: sources and packages loaded one by one take 45 MB more. */
export async function bundleMember(): Promise<void> {
  await build({
    input: memberSource,
    platform: 'node',
    external: ['classic-level'],
    logLevel: 'silent',
    output: { file: memberProgram, format: 'esm' },
  })
}

/**
 * Three members of the store of this repository. Each prints `{"ready":true}` when it serves etcd's API on its port,
 * and stops in order on SIGTERM. With `"reports":true` beside it, SIGUSR2 makes it print a SelfReport (cluster.ts).
 */
export const flotilla: SystemKind = { name: 'flotilla', saysReady: true, commandOf: memberCommand }

export function memberCommand({ index, dir, ports }: Place): readonly string[] {
  return [
    process.execPath,
    memberProgram,
    '--dir',
    dir,
    '--index',
    String(index),
    '--mesh-port',
    String(ports[index]?.peer),
    '--mesh-ports',
    ports.map(port => port.peer).join(','),
    '--etcd-port',
    String(ports[index]?.client),
  ]
}
