// The systems under test: how a member of each is started, and what each has to offer. etcd is the control: a run against it
// has to come out clean, or the harness is wrong.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Change } from '../check/model.ts'
import { clockFileOf, shimOf } from './clock-files.ts'
import { addressOf, clientPort, clientUrlOf, peerPort } from './lab.ts'

export type Place = { readonly index: number; readonly dir: string; readonly dataDir: string }

export type SystemUnderTest = {
  readonly name: string
  commandOf(place: Place): {
    readonly command: readonly string[]
    readonly environment: Readonly<Record<string, string>>
  }
  /** How a member that was removed comes back: MemberAdd and MemberPromote let it in, or it asks to be taken in itself. */
  readonly comesBack: 'added' | 'by itself'
  /** From now on the member joins a cluster that is there, instead of founding one. */
  joins(index: number): void
  /** Watchers may ask for a bookmark. */
  readonly hasBookmarks: boolean
  /** Its clock is read through the C library, where it can be bent. */
  readonly hasLibraryClock: boolean
  /** Whether the file, relative to the data folder, is protected by checksums. */
  isChecksummed(file: string): boolean
  /** A change that its watchers may miss, given all revisions that were asked to be compacted: a bug that it is known for. */
  mayMiss?(change: Change, compacted: ReadonlySet<number>): boolean
  /** Undefined when it can be started here. */
  missing(): string | undefined
}

/** How many members there are. */
export const memberCount = 5
const indexes = Array.from({ length: memberCount }, (_, index) => index)

export const peerUrlOf = (index: number) => `http://${addressOf(index)}:${peerPort}`

function etcd(): SystemUnderTest {
  const joining = new Set<number>()
  return {
    name: 'etcd',
    comesBack: 'added',
    joins: index => joining.add(index),
    // 3.4.23 answers a request for progress before the events that it covers (etcd-io/etcd#15220).
    hasBookmarks: false,
    // Go reads the clock from the kernel's page without the C library.
    hasLibraryClock: false,
    // The database file has no checksums of its own, so a flipped bit in it is not etcd's to find.
    isChecksummed: file => /\.(?:wal|snap)$/.test(file),
    // A watch that begins at the compacted revision is not shown what was deleted in it (etcd-io/etcd#19179).
    mayMiss: (change, compacted) => change.kind === 'delete' && compacted.has(change.revision),
    missing: () => (existsSync('/usr/bin/etcd') ? undefined : 'etcd is not installed (Debian package etcd-server)'),
    commandOf({ index, dataDir }) {
      const options = {
        name: `m${index}`,
        'data-dir': join(dataDir, 'etcd'),
        'listen-client-urls': clientUrlOf(index),
        'advertise-client-urls': clientUrlOf(index),
        'listen-peer-urls': peerUrlOf(index),
        'initial-advertise-peer-urls': peerUrlOf(index),
        'initial-cluster': indexes.map(i => `m${i}=${peerUrlOf(i)}`).join(','),
        'initial-cluster-state': joining.has(index) ? 'existing' : 'new',
        'snapshot-count': '500',
        logger: 'zap',
        'log-outputs': 'stderr',
      }
      const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
      return { command: ['etcd', ...flags], environment: {} }
    },
  }
}

function flotilla(): SystemUnderTest {
  const joining = new Set<number>()
  return {
    name: 'flotilla',
    comesBack: 'by itself',
    joins: index => joining.add(index),
    hasBookmarks: true,
    hasLibraryClock: true,
    isChecksummed: () => true,
    missing: () => undefined,
    commandOf({ index, dir, dataDir }) {
      const options = {
        dir: dataDir,
        index: String(index),
        'mesh-port': String(peerPort),
        'mesh-ports': indexes.map(() => peerPort).join(','),
        hosts: indexes.map(addressOf).join(','),
        'etcd-port': String(clientPort),
      }
      const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
      if (joining.has(index)) flags.push('--joins')
      const shim = shimOf(join(dir, '..'))
      const clock = existsSync(shim) ? { LD_PRELOAD: shim, FLOTILLA_CLOCK: clockFileOf(dir) } : {}
      // Members start often: what the first has compiled, the others need not.
      const cache = { NODE_COMPILE_CACHE: join(dir, '..', 'compiled') }
      return { command: [process.execPath, memberFile, ...flags], environment: { ...clock, ...cache } }
    },
  }
}

const memberFile = join(import.meta.dirname, '../bench/kv/member.ts')

export const systems: Readonly<Record<string, () => SystemUnderTest>> = { etcd, flotilla }
