// A program on `@kubernetes/client-node`, as somebody would write it: it changes, watches, follows, elects and runs commands
// through three peers while their leader is killed, and tells at its end what it has seen. Runs on a host of the testnet:
//   node client-node.ts <kubeconfig> <namespace> <pod>
// It prints `ready` once everything runs; the end of its standard input ends it; its last line is a ClientReport as JSON.
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import * as k8s from '@kubernetes/client-node'

export type ClientReport = {
  /** Acknowledged changes, and those that failed or whose outcome nobody knows. */
  readonly written: { readonly done: number; readonly failed: number }
  readonly watches: readonly {
    readonly events: number
    /** How often it went on, at another peer. */
    readonly resumed: number
    /** Events that came twice or out of order. */
    readonly repeated: number
    /** Acknowledged revisions that never came. */
    readonly missed: number
  }[]
  readonly sameStreams: boolean
  readonly informers: readonly { readonly equalsList: boolean; readonly errors: number; readonly repeated: number }[]
  /** How often somebody won the lease, and how often two held it at once. */
  readonly election: { readonly terms: number; readonly overlaps: number }
  /** `hung`: neither ended nor cut off in 30 s. */
  readonly exec: { readonly right: number; readonly wrong: number; readonly cutOff: number; readonly hung: number }
}

const [kubeconfigFile = '', namespace = '', pod = ''] = process.argv.slice(2)
const configs = [1, 2, 3].map(host => {
  const config = new k8s.KubeConfig()
  config.loadFromFile(kubeconfigFile)
  config.clusters = config.clusters.map(cluster => ({ ...cluster, server: `https://10.99.0.${host}:6443` }))
  return config
})
const at = (turn: number): k8s.KubeConfig => {
  const config = configs[turn % configs.length]
  if (config === undefined) throw new Error('three peers are there')
  return config
}
const cores = configs.map(config => config.makeApiClient(k8s.CoreV1Api))
const coreAt = (turn: number): k8s.CoreV1Api => cores[turn % cores.length] ?? at(turn).makeApiClient(k8s.CoreV1Api)
const path = `/api/v1/namespaces/${namespace}/configmaps`
const last = 'the-end'
let stopping = false

// ---- changes ----

const written = { done: 0, failed: 0, revisions: new Set<number>() }

/** Makes, applies and deletes config maps, each change through another peer than the one before. */
async function write(): Promise<void> {
  for (let i = 0; !stopping; i++) {
    const core = coreAt(i)
    const name = `map-${i % 7}`
    try {
      const { metadata } =
        i % 5 === 4
          ? await core.deleteNamespacedConfigMap({ name, namespace }).then(() => ({ metadata: undefined }))
          : await core.patchNamespacedConfigMap(
              {
                name,
                namespace,
                fieldManager: 'client-node',
                force: true,
                body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { turn: String(i) } },
              },
              k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply),
            )
      written.done++
      if (metadata?.resourceVersion !== undefined) written.revisions.add(Number(metadata.resourceVersion))
    } catch {
      // Killed under it, or deleted before: what came of it the watches show.
      written.failed++
    }
    await sleep(5)
  }
}

// ---- watches ----

type Seen = { readonly type: string; readonly name: string; readonly revision: number }
type Followed = { readonly seen: Seen[]; resumed: number }

/** Follows all changes until the last one; when its peer goes it continues at the next from the revision it has seen. */
async function follow(first: number, from: string, followed: Followed): Promise<void> {
  let after = from
  for (let turn = first; !followed.seen.some(({ name }) => name === last); turn++) {
    if (turn > first) followed.resumed++
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const query = { resourceVersion: after, allowWatchBookmarks: true }
    const watching = await new k8s.Watch(at(turn)).watch(
      path,
      query,
      (type, object: k8s.V1ConfigMap) => {
        if (type === 'ERROR') return void console.error('a watch was refused', JSON.stringify(object))
        after = object.metadata?.resourceVersion ?? after
        const name = object.metadata?.name ?? ''
        if (type !== 'BOOKMARK') followed.seen.push({ type, name, revision: Number(after) })
        if (name === last) resolve()
      },
      () => resolve(),
    )
    await ended
    watching.abort()
    await sleep(20)
  }
}

// ---- informers ----

type Informed = {
  readonly informer: k8s.Informer<k8s.V1ConfigMap> & k8s.ObjectCache<k8s.V1ConfigMap>
  errors: number
  repeated: number
}

function inform(turn: number): Informed {
  const core = coreAt(turn)
  const informer = k8s.makeInformer(at(turn), path, () => core.listNamespacedConfigMap({ namespace }))
  const informed: Informed = { informer, errors: 0, repeated: 0 }
  const newest = new Map<string, string>()
  const note = (object: k8s.V1ConfigMap) => {
    const { uid = '', resourceVersion = '' } = object.metadata ?? {}
    if (newest.get(uid) === resourceVersion) informed.repeated++
    newest.set(uid, resourceVersion)
  }
  informer.on('add', note)
  informer.on('update', note)
  informer.on('error', () => {
    informed.errors++
    void sleep(100).then(() => (stopping ? undefined : informer.start()))
  })
  return informed
}

// ---- election ----

const election = { terms: 0, overlaps: 0, holders: new Set<string>() }
const leaseMs = 1_500

/** The algorithm of client-go: whoever renews the Lease leads; another takes it when it was not renewed for its duration. */
async function elect(turn: number): Promise<void> {
  const api = at(turn).makeApiClient(k8s.CoordinationV1Api)
  const identity = `candidate-${turn}`
  const key = { name: 'election', namespace }
  let observed = { version: '', sinceMs: 0 }
  let leadsUntilMs = 0
  while (!stopping) {
    if (performance.now() >= leadsUntilMs) election.holders.delete(identity)
    const startedMs = performance.now()
    try {
      const lease = await api.readNamespacedLease(key).catch(async (error: unknown) => {
        if (!(error instanceof k8s.ApiException) || error.code !== 404) throw error
        return await api.createNamespacedLease({ namespace, body: { metadata: key, spec: {} } })
      })
      const version = lease.metadata?.resourceVersion ?? ''
      if (version !== observed.version) observed = { version, sinceMs: performance.now() }
      const holder = lease.spec?.holderIdentity ?? ''
      const isFree = holder === '' || holder === identity || performance.now() - observed.sinceMs > leaseMs
      if (isFree) {
        const renewTime = new k8s.V1MicroTime()
        const body = { ...lease, spec: { ...lease.spec, holderIdentity: identity, leaseDurationSeconds: 2, renewTime } }
        const sentMs = performance.now()
        await api.replaceNamespacedLease({ ...key, body })
        if (!election.holders.has(identity)) election.terms++
        // It leads for less than others wait, counted from before it asked.
        leadsUntilMs = sentMs + leaseMs * 0.8
        election.holders.add(identity)
        if ([...election.holders].length > 1) election.overlaps++
      }
    } catch {
      // Lost to another, or the peer is down: it is tried again.
    }
    await sleep(Math.max(10, 150 - (performance.now() - startedMs)))
    if (performance.now() >= leadsUntilMs) election.holders.delete(identity)
    // Now and then a leader rests, so that another gets its turn.
    if (election.holders.has(identity) && election.terms % 2 === 1) {
      election.holders.delete(identity)
      leadsUntilMs = 0
      await sleep(leaseMs * 2)
    }
  }
}

// ---- exec ----

const exec = { right: 0, wrong: 0, cutOff: 0, hung: 0 }

async function runCommands(): Promise<void> {
  for (let turn = 0; !stopping; turn++) {
    const out = new PassThrough()
    let said = ''
    out.on('data', part => {
      said += String(part)
    })
    try {
      const { promise, resolve, reject } = Promise.withResolvers<k8s.V1Status>()
      const command = ['sh', '-c', `echo turn ${turn}; exit ${turn % 2}`]
      const socket = await new k8s.Exec(at(turn)).exec(namespace, pod, '', command, out, null, null, false, resolve)
      socket.on('close', () => reject(new Error('the connection is gone')))
      const late = setTimeout(() => {
        exec.hung++
        socket.close()
      }, 30_000)
      const status = await promise.finally(() => clearTimeout(late))
      await sleep(10)
      // Another Failure is that the peer, or that of the pod, is not there.
      const ended = status.status === 'Success' || status.reason === 'NonZeroExitCode'
      const isRight = said === `turn ${turn}\n` && status.status === (turn % 2 === 0 ? 'Success' : 'Failure')
      exec[ended ? (isRight ? 'right' : 'wrong') : 'cutOff']++
    } catch {
      exec.cutOff++
    }
    await sleep(100)
  }
}

// ---- all of it ----

/** Tries until it has been done; peers come and go. */
async function surely<T>(act: (turn: number) => Promise<T>): Promise<T> {
  for (let turn = 0; ; turn++) {
    try {
      return await act(turn)
    } catch (error) {
      if (turn > 300) throw error
      await sleep(100)
    }
  }
}

const list = await surely(turn => coreAt(turn).listNamespacedConfigMap({ namespace }))
const from = list.metadata?.resourceVersion ?? ''
const streams: readonly Followed[] = [0, 1, 2].map(() => ({ seen: [], resumed: 0 }))
const following = streams.map((stream, turn) => follow(turn, from, stream))
const informers = [0, 1, 2].map(inform)
await Promise.all(informers.map(({ informer }) => informer.start()))
const working = [write(), ...[0, 1, 2].map(elect), runCommands()]
console.log('ready')

process.stdin.resume()
await new Promise<void>(resolve => void process.stdin.once('end', resolve))
stopping = true
await Promise.all(working)
const body = { metadata: { name: last } }
await surely(async turn => {
  const core = coreAt(turn)
  await core.createNamespacedConfigMap({ namespace, body }).catch((error: unknown) => {
    if (!(error instanceof k8s.ApiException) || error.code !== 409) throw error
  })
})
await Promise.all(following)
const now = await surely(turn => coreAt(turn).listNamespacedConfigMap({ namespace }))
const versions = (items: readonly k8s.V1ConfigMap[]) =>
  JSON.stringify(items.map(({ metadata }) => [metadata?.name, metadata?.resourceVersion]).sort())
for (let tries = 0; tries < 100; tries++) {
  if (informers.every(({ informer }) => versions(informer.list()) === versions(now.items))) break
  await sleep(100)
}
const report: ClientReport = {
  written: { done: written.done, failed: written.failed },
  watches: streams.map(({ seen, resumed }) => {
    const revisions = seen.map(({ revision }) => revision)
    const had = new Set(revisions)
    return {
      events: seen.length,
      resumed,
      repeated: revisions.filter((revision, i) => i > 0 && revision <= (revisions[i - 1] ?? 0)).length,
      missed: [...written.revisions].filter(revision => !had.has(revision)).length,
    }
  }),
  sameStreams: new Set(streams.map(({ seen }) => JSON.stringify(seen))).size === 1,
  informers: informers.map(({ informer, errors, repeated }) => ({
    equalsList: versions(informer.list()) === versions(now.items),
    errors,
    repeated,
  })),
  election: { terms: election.terms, overlaps: election.overlaps },
  exec,
}
console.log(JSON.stringify(report))
process.exit(0)
