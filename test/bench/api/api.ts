// `npm run bench -- api`: the Kubernetes API of three peers, asked over HTTPS by one generator, beside the floor (the same TLS
// server with answers that lie ready) and, for creates, beside etcd's own create transactions of the same size: no API
// server on etcd can create faster than those. The last line gives the ratios, ours over theirs.
import { type ChildProcess, fork } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { certificates } from '../../apiserver/certificates.ts'
import { freePorts } from '../../ports.ts'
import { clockTickMs } from '../kv/busy.ts'
import { keepChild } from '../kv/children.ts'
import { sleep } from '../kv/clock.ts'
import { Cluster, type Member, type SystemKind } from '../kv/cluster.ts'
import { Generator } from '../kv/generator.ts'
import { median } from '../kv/histogram.ts'
import { cpuMicrosOf, loadAverage } from '../kv/proc.ts'
import { short } from '../kv/report.ts'
import { bundleMember, etcd, etcdVersion, memberCommand } from '../kv/systems.ts'
import { Connection, type Target } from './client.ts'
import type { Canned, Told } from './floor.ts'
import { ask, namespaceOf, type Operation, own, pod, podsPath, scratch, send } from './requests.ts'
import type { Measured, Task } from './worker.ts'

const help = `npm run bench -- api [options]
  --suite get,list,create,update,patch,watch,idle   all of them by default
  --quick            3 repetitions instead of 5, 2 s each
  --clients 16,64    how many clients the closed loops have
  --dir <folder>     where the peers keep their data

Example:
  npm run bench -- api --suite get,create --quick`

const suites = ['get', 'list', 'create', 'update', 'patch', 'watch', 'idle'] as const
type Suite = (typeof suites)[number]
const listSizes = [10, 1_000, 5_000, 10_000]
const ownCount = 64

export const apiBench = {
  summary: "the API of three peers beside the floor of its TLS server and etcd's creates (--suite … --quick)",
  async run(args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const options = readOptions(args)
    const dir = mkdtempSync(join(options.dir, 'flotilla-bench-api-'))
    process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    const bench = await open(dir, options)
    try {
      return await bench.run()
    } finally {
      await bench.close()
    }
  },
}

type Options = {
  readonly suites: readonly Suite[]
  readonly clients: readonly number[]
  readonly repetitions: number
  readonly measureMs: number
  readonly dir: string
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      suite: { type: 'string', default: suites.join(',') },
      clients: { type: 'string', default: '16,64' },
      quick: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(help)
    process.exit(0)
  }
  const chosen = values.suite.split(',').map(name => {
    const suite = suites.find(known => known === name)
    if (suite === undefined) throw new Error(`no suite is called ${name}; there are ${suites.join(', ')}`)
    return suite
  })
  const { quick } = values
  const clients = values.clients.split(',').map(Number)
  if (clients.some(count => !(count > 0 && count <= ownCount))) throw new Error(`--clients: 1 to ${ownCount}`)
  mkdirSync(values.dir, { recursive: true })
  return { suites: chosen, clients, repetitions: quick ? 3 : 5, measureMs: quick ? 2_000 : 3_000, dir: values.dir }
}

const ownHeaders = new Set(['content-length', 'transfer-encoding', 'date', 'connection', 'keep-alive'])

/** The clocks of the event loops look every so often: so late they seem to be at rest. */
const aboveTick = ({ loopMaxMs, busyMaxMs }: Told): Told => ({
  loopMaxMs: Math.max(0, loopMaxMs - clockTickMs),
  busyMaxMs: Math.max(0, busyMaxMs - clockTickMs),
})

const stallText = ({ loopMaxMs, busyMaxMs }: Told): string =>
  `${short(loopMaxMs)} ms, ${short(busyMaxMs)} ms of them by its own work`

/** A child process that answers each message with one. */
class Child {
  readonly #child: ChildProcess
  constructor(program: string, args: readonly string[] = []) {
    this.#child = fork(join(import.meta.dirname, program), args, { serialization: 'advanced' })
    keepChild(this.#child)
  }
  said<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`a child of the bench ended with ${code}`))
      this.#child.once('exit', ended)
      this.#child.once('message', message => {
        this.#child.off('exit', ended)
        resolve(message as T)
      })
    })
  }
  ask<T>(message: unknown): Promise<T> {
    const answer = this.said<T>()
    this.#child.send(message as Task)
    return answer
  }
  close(): void {
    this.#child.disconnect()
  }
}

async function open(dir: string, options: Options) {
  const tls = join(dir, 'tls')
  const target = await makeCertificates(tls)
  const ports = await freePorts(3)
  const peers: SystemKind = {
    name: 'flotilla',
    saysReady: true,
    commandOf: place => [...exposingGc(memberCommand(place)), '--api-port', String(ports[place.index]), '--tls', tls],
  }
  await bundleMember()
  console.log(`three peers, Node ${process.version}; etcd ${etcdVersion() ?? 'missing'}; load ${short(loadAverage())}`)
  const cluster = await Cluster.start(peers, join(dir, 'peers'))
  const floor = new Child('floor.ts', [tls])
  const { port: floorPort } = await floor.said<{ port: number }>()
  const worker = new Child('worker.ts')
  const failures: string[] = []

  const at = (port: number): Target => ({ ...target, port })
  const leaderPort = async () => ports[(await cluster.leader()).index] ?? 0
  const perform = async (task: Task): Promise<Measured> => {
    const said = await worker.ask<{ result?: Measured; failure?: string }>(task)
    if (said.result === undefined) throw new Error(said.failure ?? 'the generator said nothing')
    for (const error of said.result.errors) failures.push(error)
    return said.result
  }
  const ratios: Record<string, number | null> = {
    get64: null,
    create64VsEtcdTxn: null,
    list5000: null,
    watch1000: null,
  }
  let loopStallMs: number | null = null
  let stalls5000: { readonly ours: Told; readonly floor: Told } | null = null
  let idleWatchBytes: number | null = null

  async function fill(): Promise<Canned> {
    const connection = new Connection(at(await leaderPort()))
    const must = async (text: string, keep = false) => {
      for (let tries = 0; ; tries++) {
        const answer = await connection.request(text, keep)
        if (answer.status < 300 || answer.status === 409) return answer
        if (tries > 50) throw new Error(`${text.slice(0, 120)}: ${answer.status}`)
        await sleep(100)
      }
    }
    const sizes = options.suites.includes('list') ? listSizes : [1_000]
    for (const name of [...sizes.map(namespaceOf), scratch, own]) {
      await must(
        send('POST', '/api/v1/namespaces', JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
      )
    }
    for (let i = 0; i < ownCount; i++) await must(send('POST', podsPath(own), pod(`own-${i}`)))
    const port = await leaderPort()
    for (const size of sizes) {
      const many = Array.from({ length: 32 }, () => new Connection(at(port)))
      await Promise.all(
        many.map(async (one, client) => {
          for (let i = client; i < size; i += many.length) {
            const answer = await one.request(send('POST', podsPath(namespaceOf(size)), pod(`pod-${i}`)))
            if (answer.status !== 201) throw new Error(`a pod was answered with ${answer.status}`)
          }
          one.close()
        }),
      )
      console.log(`  ${size} pods made`)
    }
    const { body: object = '', head } = await must(ask(`${podsPath(own)}/own-0`), true)
    connection.close()
    // The same bytes are the same headers, too: all but those that the server adds by itself.
    const headers = Object.fromEntries(
      head.map(line => line.split(/: (.*)/)).filter(([name = '']) => !ownHeaders.has(name.toLowerCase())),
    )
    return { object, list: '', frame: `{"type":"MODIFIED","object":${object.trim()}}\n`, headers }
  }

  /** Ours and theirs in turn; the medians, a line of the table, and their ratio. */
  async function compare(name: string, ours: () => Promise<Measured>, theirs: (() => Promise<number>) | undefined) {
    const own: Measured[] = []
    const others: number[] = []
    const micros: number[] = []
    for (let i = 0; i < options.repetitions; i++) {
      if (theirs !== undefined) others.push(await theirs())
      const before = cluster.members.map(({ pid }) => cpuMicrosOf(pid))
      const sample = await ours()
      const used = cluster.members.map(({ pid }, k) => cpuMicrosOf(pid) - (before[k] ?? 0)).reduce((a, b) => a + b, 0)
      micros.push(used / (sample.perSecond * ((options.measureMs + 500) / 1_000)))
      own.push(sample)
    }
    const rate = median(own.map(({ perSecond }) => perSecond))
    const other = others.length === 0 ? undefined : median(others)
    const p = (key: 'p50Ms' | 'p99Ms') => short(median(own.map(sample => sample[key])))
    const ratio = other === undefined ? null : rate / other
    console.log(
      `${name.padEnd(34)}${short(rate).padStart(9)}${(other === undefined ? '' : short(other)).padStart(11)}${(ratio === null ? '' : short(ratio)).padStart(8)}${p('p50Ms').padStart(9)}${p('p99Ms').padStart(9)}${short(median(micros)).padStart(11)}`,
    )
    return ratio === null ? null : Number(ratio.toPrecision(3))
  }

  const loop = (port: number, operation: Operation, clients: number): Promise<Measured> =>
    perform({ kind: 'loop', target: at(port), operation, clients, warmupMs: 500, measureMs: options.measureMs })
  const onFloor = (operation: Operation, clients: number) => async () =>
    (await loop(floorPort, operation, clients)).perSecond

  async function gets() {
    for (const clients of options.clients) {
      const fresh: Operation = { kind: 'get', pods: 1_000, cached: false }
      const port = await leaderPort()
      const ratio = await compare(`get, ${clients} clients`, () => loop(port, fresh, clients), onFloor(fresh, clients))
      if (clients === 64) ratios['get64'] = ratio
      const cached: Operation = { kind: 'get', pods: 1_000, cached: true }
      await compare(`get at any revision, ${clients}`, () => loop(port, cached, clients), onFloor(cached, clients))
    }
  }

  async function changes(kind: 'update' | 'patch') {
    for (const clients of options.clients) {
      const port = await leaderPort()
      await compare(`${kind}, ${clients} clients`, () => loop(port, { kind }, clients), onFloor({ kind }, clients))
    }
  }

  async function creates(canned: Canned) {
    const generator = new Generator()
    const reference = etcdVersion() === undefined ? undefined : await Cluster.start(etcd, join(dir, 'etcd'))
    try {
      for (const clients of options.clients) {
        let run = 0
        const port = await leaderPort()
        const theirs = async () => {
          if (reference === undefined) return Number.NaN
          const operation = { kind: 'create', run: `${clients}-${run}`, valueBytes: canned.object.length } as const
          const ports = [(await reference.leader()).clientPort]
          const { perSecond } = await generator.run({
            operation,
            clients,
            ports,
            warmupMs: 500,
            measureMs: options.measureMs,
          })
          return perSecond
        }
        const ours = (alike: boolean) => () =>
          loop(port, { kind: 'create', run: `${clients}-${run++}`, alike }, clients)
        const ratio = await compare(`create, ${clients} clients (etcd txn)`, ours(true), reference && theirs)
        if (clients === 64) ratios['create64VsEtcdTxn'] = ratio
        await compare(`create, no two alike, ${clients}`, ours(false), reference && theirs)
        const follower = ports.find(other => other !== port) ?? port
        const through = () => loop(follower, { kind: 'create', run: `${clients}-${run++}`, alike: true }, clients)
        await compare(`through a follower, ${clients} (etcd txn)`, through, reference && theirs)
        // What is left for the API is what these are faster than etcd: one stores the same bytes and answers, the other answers.
        const stored = () => loop(port, { kind: 'store', run: `${clients}-${run++}`, value: canned.object }, clients)
        await compare(`only stored, ${clients} (etcd txn)`, stored, reference && theirs)
        const floor = () => loop(floorPort, { kind: 'create', run: `${clients}-${run++}`, alike: true }, clients)
        await compare(`its floor, ${clients} (etcd txn)`, floor, reference && theirs)
      }
    } finally {
      await reference?.stop()
      generator.close()
    }
  }

  async function lists(canned: Canned) {
    for (const size of listSizes) {
      const port = await leaderPort()
      const connection = new Connection(at(port))
      const list = (await connection.request(ask(`${podsPath(namespaceOf(size))}?resourceVersion=0`), true)).body ?? ''
      connection.close()
      await floor.ask({ ...canned, list })
      const operation: Operation = { kind: 'list', pods: size }
      await stalls()
      const ratio = await compare(`list of ${size}, 4 clients`, () => loop(port, operation, 4), onFloor(operation, 4))
      const stall = await stalls()
      const theirs = aboveTick(await floor.ask<Told>({ ...canned, list }))
      console.log(
        `  ${(list.length / 2 ** 20).toFixed(2)} MiB; longest stall of the event loop ${stallText(stall)}; of the floor's ${stallText(theirs)}`,
      )
      if (size === 5_000) {
        ratios['list5000'] = ratio
        loopStallMs = Number(stall.loopMaxMs.toPrecision(3))
        stalls5000 = { ours: stall, floor: theirs }
      }
    }
  }

  /** Since they were asked last: of the worst member. */
  async function stalls(): Promise<Told> {
    const reports = await Promise.all(cluster.members.map(member => member.selfReport()))
    const worst = (key: keyof Told) => Math.max(0, ...reports.map(report => report?.[key] ?? 0))
    return aboveTick({ loopMaxMs: worst('loopMaxMs'), busyMaxMs: worst('busyMaxMs') })
  }

  async function watches() {
    for (const watchers of [1, 100, 1_000]) {
      const port = await leaderPort()
      const task = (to: number, writers: number): Task => ({
        kind: 'watch',
        target: at(to),
        namespace: own,
        watchers,
        writers,
        warmupMs: 1_000,
        measureMs: options.measureMs,
      })
      const ours = () => perform(task(port, watchers === 1 ? 16 : 4))
      const ratio = await compare(
        `deliveries, ${watchers} watchers`,
        ours,
        async () => (await perform(task(floorPort, 0))).perSecond,
      )
      if (watchers === 1_000) ratios['watch1000'] = ratio
    }
  }

  async function idle() {
    const [member] = cluster.members
    if (member === undefined) return
    const port = ports[member.index] ?? 0
    const watchCount = 900
    const before = await settledBytes(member)
    await perform({ kind: 'hold', target: at(port), namespace: own, watches: watchCount })
    const after = await settledBytes(member)
    idleWatchBytes = Math.round((after - before) / watchCount)
    await worker.ask({ kind: 'release' })
    console.log(`an idle watch takes ${short(idleWatchBytes / 1024)} KiB (${watchCount} on 9 connections)`)
  }

  /** What it holds once it has collected its garbage, twice, so that what waits for a finalizer goes too. */
  async function settledBytes(member: Member): Promise<number> {
    await sleep(2_000)
    await member.selfReport()
    await sleep(500)
    return (await member.selfReport())?.heldBytes ?? Number.NaN
  }

  return {
    async run(): Promise<Readonly<Record<string, unknown>>> {
      const canned = await fill()
      await floor.ask(canned)
      console.log(
        `${''.padEnd(34)}${'per s'.padStart(9)}${'reference'.padStart(11)}${'ratio'.padStart(8)}${'p50 ms'.padStart(9)}${'p99 ms'.padStart(9)}${'CPU-µs/op'.padStart(11)}`,
      )
      for (const suite of options.suites) {
        if (suite === 'get') await gets()
        else if (suite === 'list') await lists(canned)
        else if (suite === 'create') await creates(canned)
        else if (suite === 'watch') await watches()
        else if (suite === 'idle') await idle()
        else await changes(suite)
      }
      for (const failure of new Set(failures)) console.log(`FAILED: ${failure}`)
      if (failures.length > 0) process.exitCode = 1
      return { ratios, loopStallMs, stalls5000, idleWatchBytes }
    },
    async close(): Promise<void> {
      worker.close()
      floor.close()
      await cluster.stop()
    },
  }
}

/** Only so that idle memory can be told from garbage: it is asked for between measurements alone. */
const exposingGc = ([node = '', ...rest]: readonly string[]): readonly string[] => [node, '--expose-gc', ...rest]

async function makeCertificates(folder: string): Promise<Omit<Target, 'port'>> {
  mkdirSync(folder, { recursive: true })
  const made = await certificates()
  const client = await made.client('bench', ['system:masters'])
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const files = { ca: made.ca, cert: made.server.cert, key: made.server.key, account: privateKey }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.pem`), text, { mode: 0o600 })
  return { ca: made.ca, cert: client.cert, key: client.key }
}
