// One script of etcdctl, against etcd and against three of our peers: what it says must be the same, but for what is
// different by nature (IDs, ports, sizes, checksums).
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  describeWithEtcd,
  type EtcdctlOptions,
  etcdctl,
  type Said,
  type System,
  startEtcd,
  startOurs,
} from './systems.ts'

const timeoutMs = 240_000

let etcd: System
let ours: System
let folder: string

describeWithEtcd('etcdctl', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'flotilla-etcdctl-'))
    ;[etcd, ours] = await Promise.all([startEtcd(), startOurs()])
  }, timeoutMs)

  afterAll(async () => {
    await Promise.all([etcd?.[Symbol.asyncDispose](), ours?.[Symbol.asyncDispose]()])
    await rm(folder, { recursive: true })
  }, timeoutMs)

  test('keys: put, get with all its flags, del', { timeout: timeoutMs }, async () => {
    await same('put', 'a', '1')
    await same('put', 'a', '2', '--prev-kv')
    await same('put', 'b', '--', '-dash')
    await sameWith({ input: 'from standard input\n' }, 'put', 'c')
    for (const key of ['n/1', 'n/3', 'n/2', 'n/10']) await same('put', key, `value of ${key}`)
    await same('put', 'n/3', 'again')
    await same('put', 'b', '', '--ignore-value=false', '-w', 'json')
    await same('put', 'b', '--ignore-value', '--prev-kv')
    await same('put', 'none', '--ignore-value')
    await same('put', 'b', 'x', '--ignore-lease')
    await same('put', '', 'empty')
    await same('put', 'ünïcode/鍵', '値 ÿ\u0001ß')
    for (const format of ['simple', 'json', 'fields']) await same('get', 'a', '-w', format)
    await same('get', 'nothing')
    await same('get', 'nothing', '-w', 'json')
    await same('get', 'n/', '--prefix')
    await same('get', 'n/', '--prefix', '--limit=2', '-w', 'json')
    await same('get', 'n/', '--prefix', '--keys-only')
    await same('get', 'n/', '--prefix', '--print-value-only')
    await same('get', 'b', '--from-key', '--limit=3')
    await same('get', 'a', 'n/2')
    await same('get', 'n/2', 'a')
    await same('get', '', '--prefix', '-w', 'json')
    await same('get', '', '--from-key', '--keys-only')
    await same('get', 'ünïcode', '--prefix', '--hex')
    await same('get', 'a', '--consistency=s')
    await same('get', 'a', '--rev=2')
    await same('get', 'n/', '--prefix', '--rev=8', '-w', 'json')
    await same('get', 'a', '--rev=1000')
    for (const by of ['CREATE', 'KEY', 'MODIFY', 'VALUE', 'VERSION']) {
      for (const order of ['ASCEND', 'DESCEND']) {
        // Versions are the same for most: sorted by them alone, any order is right.
        const limit = by === 'VERSION' && order === 'ASCEND' ? '--limit=0' : '--limit=1'
        if (limit === '--limit=1') await same('get', 'n/', '--prefix', `--sort-by=${by}`, `--order=${order}`, limit)
      }
    }
    await same('get', 'n/', '--prefix', '--order=DESCEND', '--limit=3', '-w', 'json')
    await same('del', 'a', '--prev-kv')
    await same('del', 'a')
    await same('del', 'n/1', 'n/2', '-w', 'json')
    await same('del', 'n/', '--prefix', '--prev-kv')
    await same('del', 'zzz', '--from-key')
    await same('get', '', '--prefix')
  })

  test('transactions', { timeout: timeoutMs }, async () => {
    await txn('mod("t1") = "0"', 'put t1 first', 'get t1')
    await txn('mod("t1") = "0"', 'put t1 second', 'get t1')
    await txn('value("t1") = "first"\nversion("t1") = "1"', 'put t1 third\nget t1\ndel nothing', 'get t1')
    await txn('value("t1") > "a"', 'put t2 x\nput t2 y', '')
    await txn('value("absent") = ""', 'get t1', 'get absent')
    await txn('create("t1") < "5"', 'get t1\nget t2', 'get t2\nget t1')
    await txn('version("t1") != "2"', 'put t1 wrong', 'del t1\nget t1')
    await txn('', 'put t3 alone', '')
    await txn('value("t3") != "else"', 'del t3\nput t3 again', 'get t3')
    await txn('mod("t3") > "1"', 'del t --prefix\nput u other\nget u', 'get t3')
    await same('get', '', '--prefix', '-w', 'json')
    await sameWith({ input: transaction('', 'put j 1\nget j\ndel j\nget j', '') }, 'txn', '-w', 'json')
  })

  test('leases', { timeout: timeoutMs }, async () => {
    const leases: string[] = []
    for (const system of [etcd, ours]) leases.push(await grant(system, 600))
    await each((system, i) => etcdctl(system, ['put', 'l/1', 'leased', `--lease=${leases[i]}`]))
    await each((system, i) => etcdctl(system, ['put', 'l/2', 'leased', `--lease=${leases[i]}`, '--prev-kv']))
    await each(system => etcdctl(system, ['put', 'l/2', 'kept', '--ignore-lease']))
    await each((system, i) => etcdctl(system, ['lease', 'timetolive', `${leases[i]}`, '--keys']))
    await each((system, i) => etcdctl(system, ['lease', 'keep-alive', '--once', `${leases[i]}`]))
    await each(system => etcdctl(system, ['lease', 'list']))
    await same('get', 'l/', '--prefix')
    await each(system => etcdctl(system, ['get', 'l/', '--prefix', '-w', 'json']))
    await each((system, i) => etcdctl(system, ['lease', 'revoke', `${leases[i]}`]))
    await each((system, i) => etcdctl(system, ['lease', 'revoke', `${leases[i]}`]))
    await each((system, i) => etcdctl(system, ['lease', 'timetolive', `${leases[i]}`]))
    await each((system, i) => etcdctl(system, ['lease', 'keep-alive', `${leases[i]}`]))
    await same('get', 'l/', '--prefix')
    await same('put', 'l/3', 'x', '--lease=4242')
    await same('lease', 'grant', '9000000001')
    // One that ends by itself takes its key along.
    await each(async system => {
      const id = await grant(system, 3)
      const put = await etcdctl(system, ['put', 'l/4', 'short', `--lease=${id}`])
      const seen = await etcdctl(system, ['watch', 'l/4', '--rev=1'], { lines: 6 })
      return { ...seen, out: put.out + seen.out }
    })
  })

  test('watches', { timeout: timeoutMs }, async () => {
    await same('put', 'w/1', 'one')
    await same('put', 'w/2', 'two')
    await same('put', 'w/1', 'three')
    await same('del', 'w/1')
    await sameWith({ lines: 12 }, 'watch', 'w/', '--prefix', '--rev=1')
    await sameWith({ lines: 9 }, 'watch', 'w/1', '--rev=1')
    await sameWith({ lines: 16 }, 'watch', 'w/', '--prefix', '--rev=1', '--prev-kv')
    await sameWith({ lines: 1 }, 'watch', 'w/', '--prefix', '--rev=1', '-w', 'json')
    await sameWith({ lines: 3 }, 'watch', 'w/2', 'w/3', '--rev=1')
    await sameWith({ lines: 6 }, 'watch', 'w/2', '--rev=1', '--', 'sh', '-c', 'echo $ETCD_WATCH_KEY; echo; echo')
    // A watch that is there before what it sees.
    await each(async system => {
      const { out } = await etcdctl(system, ['put', 'marker', 'x', '-w', 'json'])
      const { revision } = JSON.parse(out).header
      const seen = etcdctl(system, ['watch', 'live', '--prefix', `--rev=${revision + 1}`], { lines: 18 })
      await etcdctl(system, ['put', 'live/1', 'a'])
      await etcdctl(system, ['txn'], { input: transaction('', 'put live/2 b\nput live/3 c', '') })
      await etcdctl(system, ['del', 'live', '--prefix'])
      return await seen
    })
  })

  test('compaction', { timeout: timeoutMs }, async () => {
    for (const value of ['1', '2', '3', '4']) await same('put', 'k', value)
    const revision = await sameRevision()
    await same('compaction', String(revision - 2))
    await same('compaction', String(revision - 2))
    await same('compaction', String(revision + 100))
    await same('get', 'k', `--rev=${revision - 3}`)
    await same('get', 'k', `--rev=${revision - 2}`)
    await same('get', 'k', `--rev=${revision - 1}`)
    await same('watch', 'k', `--rev=${revision - 3}`)
    await sameWith({ lines: 9 }, 'watch', 'k', `--rev=${revision - 2}`)
    await same('compaction', '--physical', String(revision))
    await sameWith({ lines: 3 }, 'watch', 'k', `--rev=${revision}`)
    await same('get', 'k', '-w', 'json')
    await same('defrag')
  })

  test('what a cluster says of itself', { timeout: timeoutMs }, async () => {
    await same('endpoint', 'health')
    await same('endpoint', 'health', '--cluster')
    await same('endpoint', 'status')
    await same('endpoint', 'status', '--cluster', '-w', 'table')
    await same('endpoint', 'status', '-w', 'json')
    await same('member', 'list')
    await same('member', 'list', '-w', 'table')
    await same('alarm', 'list')
    await same('alarm', 'disarm')
    await same('member', 'remove', '1234')
    await same('member', 'promote', '1234')
    await each(async system => {
      // Of one system, all members have the same checksum.
      const said = await etcdctl(system, ['endpoint', 'hashkv', '-w', 'json'])
      const hashes = (JSON.parse(said.out) as { HashKV: { hash: number } }[]).map(one => one.HashKV.hash)
      return { ...said, out: `${hashes.length} members, ${new Set(hashes).size} checksums` }
    })
  })

  test('a snapshot is saved and found whole', { timeout: timeoutMs }, async () => {
    await each(async system => {
      const file = join(folder, `${system.name}.db`)
      const said = await etcdctl(system, ['snapshot', 'save', file], { endpoints: system.endpoints.slice(0, 1) })
      const { size } = await stat(file)
      // Its log has times; etcdctl itself takes this for the sign of a checksum.
      return { code: said.code, out: `${said.out.replace(file, 'file')}, ${size % 512} octets over`, error: '' }
    })
  })

  test('locks and elections among clients', { timeout: timeoutMs }, async () => {
    await same('lock', 'mutex', 'echo', 'held')
    await each(async system => {
      const file = join(folder, `${system.name}.turns`)
      const turn = (name: string) => `echo ${name} >> ${file}; sleep 0.1; echo ${name} >> ${file}`
      const holders = ['a', 'b', 'c'].map(name => etcdctl(system, ['lock', 'turns', '--', 'sh', '-c', turn(name)]))
      const said = await Promise.all(holders)
      const [a, b, c, d, e, f] = (await readFile(file, 'utf8')).trim().split('\n')
      const inTurn = a === b && c === d && e === f && new Set([a, c, e]).size === 3
      return { code: 0, out: `in turn: ${inTurn}`, error: said.map(one => one.error).join('') }
    })
    await sameWith({ lines: 2 }, 'elect', 'office', 'candidate')
  })

  test('the lead is moved by whoever has it, to one that may have it', { timeout: timeoutMs }, async () => {
    await each(async system => {
      const said = await etcdctl(system, ['endpoint', 'status', '-w', 'json'])
      const all = JSON.parse(said.out) as {
        Endpoint: string
        Status: { header: { member_id: number }; leader: number }
      }[]
      const lines = said.out.split('"Endpoint"').slice(1)
      const at = all.findIndex(one => one.Status.leader === one.Status.header.member_id)
      const follower = (at + 1) % all.length
      // JSON.parse rounds such numbers.
      const id = BigInt(/"member_id":(\d+)/.exec(lines[follower] ?? '')?.[1] ?? 0).toString(16)
      const wrong = await etcdctl(system, ['move-leader', id], { endpoints: [all[follower]?.Endpoint ?? ''] })
      const unknown = await etcdctl(system, ['move-leader', 'abcdef'], { endpoints: [all[at]?.Endpoint ?? ''] })
      const error = (wrong.error + unknown.error).replace(/\[127.0.0.1:\d+\]/, '[follower]')
      return { code: wrong.code, out: wrong.out + unknown.out, error }
    })
  })

  test('its own load test runs to the end', { timeout: timeoutMs }, async () => {
    await each(async system => {
      const said = await etcdctl(system, ['check', 'perf', '--load=s'], { endpoints: system.endpoints.slice(0, 1) })
      // How fast it was is not for a test; that all of it was there is. What is too slow it says without PASS or FAIL.
      const kinds = said.out.match(/Throughput|Slowest|Stddev|too many errors/g) ?? []
      return { code: 0, out: kinds.join(' '), error: '' }
    })
  })
})

// ---- what is compared ----

async function same(...args: string[]): Promise<void> {
  await sameWith({}, ...args)
}

async function sameWith(options: EtcdctlOptions, ...args: string[]): Promise<void> {
  await each(system => etcdctl(system, args, options), args.join(' '))
}

async function txn(compare: string, success: string, failure: string): Promise<void> {
  await sameWith({ input: transaction(compare, success, failure) }, 'txn')
}

/** What etcdctl reads of a transaction: three parts, an empty line after each. */
function transaction(...parts: readonly string[]): string {
  return parts.map(part => `${part}${part === '' ? '' : '\n'}\n`).join('')
}

async function each(act: (system: System, index: number) => Promise<Said>, what = ''): Promise<void> {
  const [theirs, own] = await Promise.all([act(etcd, 0), act(ours, 1)])
  expect(comparable(own, ours), what).toEqual(comparable(theirs, etcd))
}

async function grant(system: System, seconds: number): Promise<string> {
  const { out } = await etcdctl(system, ['lease', 'grant', String(seconds)])
  return /lease ([0-9a-f]+) granted/.exec(out)?.[1] ?? out
}

async function sameRevision(): Promise<number> {
  const revisions = await Promise.all(
    [etcd, ours].map(
      async system => JSON.parse((await etcdctl(system, ['get', 'x', '-w', 'json'])).out).header.revision,
    ),
  )
  expect(revisions[1]).toBe(revisions[0])
  return revisions[1]
}

function comparable({ code, out, error }: Said, system: System): Said {
  const text = system.endpoints.reduce((rest, endpoint, i) => rest.replaceAll(endpoint, `member-${i}:2379`), out)
  const wrongs = error
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('{'))
    .map(line => system.endpoints.reduce((rest, endpoint, i) => rest.replaceAll(endpoint, `member-${i}:2379`), line))
  return { code, out: sortedTable(masked(text)), error: masked(wrongs.sort().join('\n')) }
}

/** Takes out what is different by nature. */
function masked(text: string): string {
  return (
    text
      .replace(
        /"(cluster_id|member_id|raft_term|lease|leader|raftIndex|raftTerm|raftAppliedIndex|dbSize|dbSizeInUse)":\d+/g,
        '"$1":0',
      )
      .replace(/"(ClusterID|MemberID|RaftTerm|Lease)" : \d+/g, '"$1" : 0')
      .replace(/\b[0-9a-f]{12,16}\b/g, 'ID')
      .replace(/lease \d+ /g, 'lease ID ')
      .replace(/remaining\(\d+s\)/g, 'remaining(s)')
      // etcd lists a lease's keys in the order of a Go map: any.
      .replace(/(?<=attached keys\(\[)[^\]]*/, keys => keys.split(' ').sort().join(' '))
      .replace(/took = [0-9.µnms]+/g, 'took')
      .replace(/(\d+(\.\d+)?) (k|M)?B\b/g, 'SIZE')
      .replace(/http:\/\/127\.0\.0\.1:\d+|p2p:\/\/[\w-]+/g, 'PEER')
  )
}

/** Members come in the order of their IDs, which are different; columns are as wide as what stands in them. */
function sortedTable(text: string): string {
  const isTable = text.startsWith('+-') || / started, |\d+\.\d+\.\d+, SIZE/.test(text)
  if (!isTable) return text
  const lines = text
    .split('\n')
    .filter(line => !line.startsWith('+-'))
    // Who leads, its term and how far its log goes.
    .map(line => line.replace(/(true|false), (true|false), \d+, \d+, \d+/, 'LEADS, $2').replace(/ +/g, ' '))
    .map(line => line.replace(/\| (true|false) \| false \| \d+ \| \d+ \| \d+ \|/, '| LEADS |'))
  return lines.sort().join('\n')
}
