// How long nobody can write when the leader is killed, or stops without a word. Puts are sent to both survivors every
// few ms all the time; what counts is the first that was sent after the signal and succeeded. The member that was hit
// is back and has caught up before the next round, and every put that was acknowledged must still be there.
import { monotonicMs, sleep } from './clock.ts'
import type { Cluster, Member } from './cluster.ts'
import { Call, Connection } from './connection.ts'
import { type Context, withClusters } from './context.ts'
import { paths, putRequest } from './etcd-api.ts'
import { median } from './histogram.ts'
import { short } from './report.ts'
import { range } from './single.ts'

const everyMs = 5
/** Puts flow for this long before the signal and after the first success. */
const beforeMs = 300
const afterMs = 200
const recoveredMs = 60_000
/** What etcd was asked while it had no leader hangs for seconds, and is not worth waiting for. */
const answersMs = 500

export type Outages = { readonly medianMs: number; readonly worstMs: number; readonly ms: readonly number[] }

/** By system, the reference first. `signal` SIGSTOP is followed by SIGCONT once the others serve. */
export async function failoverSuite(
  context: Context,
  signal: 'SIGKILL' | 'SIGSTOP',
  rounds: number,
): Promise<readonly Outages[]> {
  return await withClusters(context, async clusters => {
    const outages = clusters.map((): number[] => [])
    const puts = clusters.map(() => ({ acknowledged: 0, lost: 0 }))
    for (let round = 0; round < rounds; round++) {
      for (const [i, cluster] of clusters.entries()) {
        const { outageMs, lost, acknowledged } = await hitLeader(cluster, signal, `/${signal}/${round}/`)
        outages[i]?.push(outageMs)
        puts[i] = { acknowledged: (puts[i]?.acknowledged ?? 0) + acknowledged, lost: (puts[i]?.lost ?? 0) + lost }
        if (lost > 0) context.fail(`${cluster.name} lost ${lost} of ${acknowledged} acknowledged puts after ${signal}`)
      }
    }
    const summaries = outages.map(ms => ({ medianMs: median(ms), worstMs: Math.max(...ms), ms }))
    for (const [i, { medianMs, worstMs, ms }] of summaries.entries()) {
      const all = ms.toSorted((a, b) => a - b).map(short)
      const name = `${signal} of the leader ×${rounds} ${clusters[i]?.name}`
      context.print(`${name}: median ${short(medianMs)} ms, worst ${short(worstMs)} ms (${all.join(' ')})`)
      context.print(`  ${puts[i]?.acknowledged} puts acknowledged, ${puts[i]?.lost} of them lost`)
    }
    const [reference, ours] = summaries
    if (reference !== undefined && ours !== undefined) {
      const [middle, worst] = [ours.medianMs / reference.medianMs, ours.worstMs / reference.worstMs]
      context.print(`  ratio: median ${short(middle)}, worst ${short(worst)}`)
    }
    return summaries
  })
}

type Round = { readonly outageMs: number; readonly lost: number; readonly acknowledged: number }

async function hitLeader(cluster: Cluster, signal: 'SIGKILL' | 'SIGSTOP', prefix: string): Promise<Round> {
  const leader = await cluster.leader()
  const survivors = cluster.members.filter(member => member !== leader)
  const probe = await Probe.start(survivors, prefix)
  await sleep(beforeMs)
  if (probe.acknowledged.length === 0) throw new Error(`${cluster.name} takes no puts before anything was done to it`)
  // Nothing is sent between these three lines: what counts is sent after the signal.
  const hitAt = monotonicMs()
  const success = probe.firstSuccessSince(hitAt)
  leader.signal(signal)
  const outageMs = (await success) - hitAt
  await sleep(afterMs)
  await probe.stop()
  if (signal === 'SIGSTOP') leader.signal('SIGCONT')
  else {
    await leader.end(signal)
    await leader.start()
  }
  await cluster.caughtUp()
  const acknowledged = new Set(probe.acknowledged)
  const { keyValues } = await range((await cluster.leader()).clientPort, prefix, { prefix: true, keysOnly: true })
  const lost = [...acknowledged].filter(key => !keyValues.some(keyValue => keyValue.key === key)).length
  return { outageMs, lost, acknowledged: acknowledged.size }
}

/** Puts at fixed times, whatever became of those before. */
class Probe {
  readonly acknowledged: string[] = []
  readonly #connections: readonly Connection[]
  readonly #prefix: string
  readonly #timer: NodeJS.Timeout
  #count = 0
  #open = 0
  #since = Number.POSITIVE_INFINITY
  #success = Promise.withResolvers<number>()

  static async start(members: readonly Member[], prefix: string): Promise<Probe> {
    return new Probe(await Promise.all(members.map(member => Connection.connect(member.clientPort))), prefix)
  }

  private constructor(connections: readonly Connection[], prefix: string) {
    this.#connections = connections
    this.#prefix = prefix
    this.#timer = setInterval(() => this.#send(), everyMs)
  }

  /** When, on the clock of the machine, the first put succeeded that was sent after `since`. */
  async firstSuccessSince(since: number): Promise<number> {
    this.#since = since
    const late = setTimeout(() => this.#success.reject(new Error('no put succeeds any more')), recoveredMs)
    try {
      return await this.#success.promise
    } finally {
      clearTimeout(late)
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    const until = monotonicMs() + answersMs
    while (this.#open > 0 && monotonicMs() < until) await sleep(everyMs)
    for (const connection of this.#connections) connection.close()
  }

  #send(): void {
    for (const connection of this.#connections) {
      const key = `${this.#prefix}${this.#count++}`
      const sentAt = monotonicMs()
      this.#open++
      connection.open(
        new Put(succeeded => this.#onEnd(key, sentAt, succeeded)),
        paths.put,
        putRequest(Buffer.from(key), Buffer.from('x')),
        true,
      )
      connection.flush()
    }
  }

  #onEnd(key: string, sentAt: number, succeeded: boolean): void {
    this.#open--
    if (!succeeded) return
    this.acknowledged.push(key)
    if (sentAt >= this.#since) this.#success.resolve(monotonicMs())
  }
}

class Put extends Call {
  readonly #done: (succeeded: boolean) => void

  constructor(done: (succeeded: boolean) => void) {
    super()
    this.#done = done
  }

  override onMessage(): void {}

  /** Errors are what an outage is made of; only the first success matters. */
  override onEnd(status: number): void {
    this.#done(status === 0)
  }
}
