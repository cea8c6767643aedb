// Who is served now and who waits: each priority level has seats by its share, and lends those it does not use. Within a
// level the flows take turns, so that one who asks a thousand times at once holds up one who asks once by one turn.
// Pure: the caller is called back when its turn has come.
//
// Differs from upstream (staging/src/k8s.io/apiserver/pkg/util/flowcontrol): a flow has a queue of its own, not a hand of
// shuffled ones, so that no two flows ever share one; every request takes one seat, however large its answer is; and what
// is lent is seen at once, not looked at every ten seconds.
import type { PriorityLevelConfiguration } from '../../api/kinds/prioritylevelconfiguration.ts'

/** All requests at once that are not watches, streams or exempt: upstream's 400 reading and 200 writing ones. */
export const seatCount = 600

export type Asked = 'seated' | 'waiting' | 'refused'

type Level = {
  exempt: boolean
  /** Its own seats. */
  nominal: number
  /** How many of them others may use while it does not. */
  lendable: number
  /** How many of others it may use; undefined: all that are free. */
  borrowingMax: number | undefined
  /** 0: nobody waits. */
  queueLengthMax: number
  waitingMax: number
  seated: number
  waiting: number
  /** Flows that wait, in the order of their turns. */
  readonly queues: Map<string, Set<() => void>>
}

export type Configured = { readonly name: string; readonly spec: PriorityLevelConfiguration['spec'] }

export class Seats {
  readonly #levels = new Map<string, Level>()

  /** Takes over new levels and shares. Who is seated stays so; who waits at a level that is gone is let in. */
  configure(levels: readonly Configured[]): void {
    const sum = levels.reduce((total, { spec }) => total + sharesOf(spec), 0)
    const names = new Set(levels.map(({ name }) => name))
    for (const [name, level] of this.#levels) {
      if (!names.has(name)) Object.assign(level, { exempt: true })
    }
    for (const { name, spec } of levels) {
      const old = this.#levels.get(name)
      const state = old ?? { seated: 0, waiting: 0, queues: new Map<string, Set<() => void>>() }
      const next = { ...limitsOf(spec, sum), ...state }
      if (old === undefined) this.#levels.set(name, next)
      else Object.assign(old, limitsOf(spec, sum))
    }
    this.#seatWaiting()
    for (const [name, { seated, waiting }] of this.#levels) {
      if (!names.has(name) && seated === 0 && waiting === 0) this.#levels.delete(name)
    }
  }

  /** `called` when the turn has come of one who waits. */
  ask(name: string, flow: string, called: () => void): Asked {
    const level = this.#levels.get(name)
    if (level === undefined) return 'refused'
    // Those who wait already come first.
    if ((level.waiting === 0 && this.#hasSeat(level)) || level.exempt) {
      level.seated += 1
      return 'seated'
    }
    const queue = level.queues.get(flow)
    if ((queue?.size ?? 0) >= level.queueLengthMax || level.waiting >= level.waitingMax) return 'refused'
    if (queue === undefined) level.queues.set(flow, new Set([called]))
    else queue.add(called)
    level.waiting += 1
    return 'waiting'
  }

  /** One who was seated is done. */
  leave(name: string): void {
    const level = this.#levels.get(name)
    if (level === undefined) return
    level.seated -= 1
    this.#seatWaiting()
  }

  /** One who waits does so no longer. False: it was called already. */
  cancel(name: string, flow: string, called: () => void): boolean {
    const level = this.#levels.get(name)
    const queue = level?.queues.get(flow)
    if (level === undefined || queue === undefined || !queue.delete(called)) return false
    level.waiting -= 1
    if (queue.size === 0) level.queues.delete(flow)
    return true
  }

  /** For tests and the curious. */
  state(name: string): { readonly nominal: number; readonly seated: number; readonly waiting: number } | undefined {
    const level = this.#levels.get(name)
    return level && { nominal: level.nominal, seated: level.seated, waiting: level.waiting }
  }

  #hasSeat(level: Level): boolean {
    if (level.exempt || level.seated < level.nominal) return true
    const borrowed = level.seated - level.nominal
    return (level.borrowingMax === undefined || borrowed < level.borrowingMax) && this.#lent() > 0
  }

  /** Seats that may be lent and are free, less those that are lent already. */
  #lent(): number {
    let free = 0
    for (const { exempt, nominal, lendable, seated } of this.#levels.values()) {
      if (exempt) continue
      free += Math.min(lendable, Math.max(0, nominal - seated)) - Math.max(0, seated - nominal)
    }
    return free
  }

  #seatWaiting(): void {
    let again = true
    while (again) {
      again = false
      for (const level of this.#levels.values()) {
        if (level.waiting > 0 && this.#hasSeat(level)) {
          this.#seatNext(level)
          again = true
        }
      }
    }
  }

  #seatNext(level: Level): void {
    const [turn] = level.queues
    if (turn === undefined) return
    const [flow, queue] = turn
    const [called] = queue
    if (called === undefined) return
    queue.delete(called)
    level.waiting -= 1
    level.seated += 1
    // Its next one waits until all others have had their turn.
    level.queues.delete(flow)
    if (queue.size > 0) level.queues.set(flow, queue)
    called()
  }
}

function sharesOf({ limited, exempt }: Configured['spec']): number {
  return limited?.nominalConcurrencyShares ?? exempt?.nominalConcurrencyShares ?? 0
}

function limitsOf(spec: Configured['spec'], sum: number) {
  const { type, limited } = spec
  const shares = sharesOf(spec)
  const nominal = sum === 0 ? 0 : Math.ceil((seatCount * shares) / sum)
  const percent = (value: number | undefined) => Math.round((nominal * (value ?? 0)) / 100)
  const queuing = limited?.limitResponse.type === 'Queue' ? limited.limitResponse.queuing : undefined
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = queuing ?? {}
  return {
    exempt: type === 'Exempt',
    nominal,
    lendable: percent(limited?.lendablePercent),
    borrowingMax: limited?.borrowingLimitPercent === undefined ? undefined : percent(limited.borrowingLimitPercent),
    queueLengthMax: Math.min(handSize, queues) * queueLengthLimit,
    waitingMax: queues * queueLengthLimit,
  }
}
