// Linearizability of a history on any model: the search of Wing and Gong with Lowe's memoisation ("Testing for
// linearizability", 2017), as in Porcupine. It looks for one order of all operations that the model allows and that keeps
// apart what did not overlap in time.
//
//   linearizable(model, operations, limits?) → 'ok' | 'illegal' | 'unknown'
//
// An optional operation (its outcome is ambiguous) may stand anywhere after its call, or nowhere. 'unknown' means that a
// limit was reached; callers count it as failed.
//
// What keeps the search small, all of it exact: a legal operation that never changes anything is taken at once, since any
// valid order may begin with it; operations with the earliest return are tried first, optional ones last, and of those that
// are alike only one; a memo holds every pair of (what was placed, state) that was tried. Many optional operations of which
// nothing is known can still be too many: resolve.ts finds out about them first.

export type Timed = {
  readonly call: number
  /** Infinity: it had not come back when the history ended. */
  readonly return: number
}

export type Model<State, T> = {
  readonly start: State
  /**
   * The state after the operation; undefined when it cannot have come back as it did. The same object says more than an
   * equal one: an operation that came back like this changes nothing in any state in which it can.
   */
  step(state: State, operation: T): State | undefined
  /** Equal texts for equal states, and only for them. */
  key(state: State): string
  /** True when the operation may as well never have happened. */
  isOptional(operation: T): boolean
  /** Optional operations with equal texts do the same in every state, so only the first of them need be tried. */
  sameness?(operation: T): string
  /**
   * True when what an operation leaves does not depend on the state before, unless it changes nothing. Then an optional
   * operation is of use only to the one right after it, which without it could not have come back as it did.
   */
  readonly overwrites?: boolean
}

export type Limits = {
  /** How many steps of the search at most. */
  readonly states?: number
  /** How long at most, by `performance.now`. Absent: no limit, and the verdict depends on the history alone. */
  readonly timeMs?: number
}

export type Verdict<State, T> =
  /** `order` is a witness. Optional operations that are not in it never happened. */
  | { readonly kind: 'ok'; readonly order: readonly T[]; readonly states: number }
  /** `order` is the longest that could be made, `state` what it leads to, `stuck` what had to come next and could not. */
  | {
      readonly kind: 'illegal'
      readonly order: readonly T[]
      readonly state: State
      readonly stuck: readonly T[]
      readonly states: number
    }
  | { readonly kind: 'unknown'; readonly why: string; readonly states: number }

const statesMax = 5_000_000

export function linearizable<State, T extends Timed>(
  model: Model<State, T>,
  operations: readonly T[],
  limits: Limits = {},
): Verdict<State, T> {
  return new Search(model, operations).run(limits)
}

/** A place in the search: what was tried from here, and what to take back when it is left. */
type Frame<State, T> = {
  readonly state: State
  /** When only what was impossible in this state may come next: the rule of `overwrites`. */
  readonly before: State | undefined
  readonly choices: Choice<State, T>[]
  next: number
  areOptionalTried: boolean
  /** What led here; undefined at the root. */
  readonly choice: Choice<State, T> | undefined
  /** The highest position placed before `choice`. */
  readonly highBefore: number
}

type Choice<State, T> = {
  readonly operation: T
  /** Position among the required or the optional operations. */
  readonly at: number
  readonly isOptional: boolean
  readonly state: State
}

class Search<State, T extends Timed> {
  private readonly model: Model<State, T>
  private readonly required: readonly T[]
  private readonly optional: readonly T[]
  // Required operations that are not placed yet: a list in the order of their calls, linked by position. The head is at
  // `required.length`, so that its links are where every other position's are.
  private readonly after: Int32Array
  private readonly before: Int32Array
  private readonly head: number
  private left: number
  private high = -1
  /** Optional operations that are placed, in that order, and the same as flags. */
  private readonly placedOptional: number[] = []
  private readonly isPlaced: Uint8Array
  /** Equal numbers for optional operations that are alike. */
  private readonly kinds: readonly number[]
  /** Required operations placed and state → the sets of optional operations with which that was tried, each in order. */
  private readonly tried = new Map<string, (readonly number[])[]>()
  private readonly stateIds = new Map<string, number>()
  private readonly frames: Frame<State, T>[] = []
  private states = 0
  private bestLeft = Infinity
  private best: { order: readonly T[]; state: State; stuck: readonly T[] } | undefined

  constructor(model: Model<State, T>, operations: readonly T[]) {
    this.model = model
    const byCall = operations.toSorted((a, b) => a.call - b.call || a.return - b.return)
    this.required = byCall.filter(operation => !model.isOptional(operation))
    this.optional = byCall.filter(operation => model.isOptional(operation))
    this.isPlaced = new Uint8Array(this.optional.length)
    this.kinds = numberAlike(this.optional.map((operation, at) => model.sameness?.(operation) ?? `${at}`))
    const count = this.required.length
    this.head = count
    this.left = count
    this.after = Int32Array.from({ length: count + 1 }, (_, i) => (i === count ? 0 : i + 1))
    this.before = Int32Array.from({ length: count + 1 }, (_, i) => (i === 0 ? count : i - 1))
  }

  run(limits: Limits): Verdict<State, T> {
    const limit = limits.states ?? statesMax
    const endMs = limits.timeMs === undefined ? Infinity : performance.now() + limits.timeMs
    this.push(this.model.start, undefined)
    while (this.left > 0) {
      const frame = this.frames.at(-1)
      if (frame === undefined) return this.illegal()
      const choice = this.nextChoice(frame)
      if (choice === undefined) {
        this.remember(frame)
        this.pop()
        continue
      }
      if (++this.states > limit) return { kind: 'unknown', why: `not decided in ${limit} steps`, states: this.states }
      if ((this.states & 1023) === 0 && performance.now() > endMs)
        return { kind: 'unknown', why: `not decided in ${limits.timeMs} ms`, states: this.states }
      this.place(choice)
    }
    return { kind: 'ok', order: this.order(), states: this.states }
  }

  private nextChoice(frame: Frame<State, T>): Choice<State, T> | undefined {
    if (frame.next === frame.choices.length && !frame.areOptionalTried) {
      frame.areOptionalTried = true
      frame.choices.push(...this.optionalChoices(frame.state, frame.before))
    }
    return frame.choices[frame.next++]
  }

  /** Places the operation, unless the same operations led to the same state before. */
  private place(choice: Choice<State, T>): void {
    const { state } = this.frames.at(-1) ?? {}
    this.take(choice)
    // From an operation that changes nothing there is no other way, so it needs no memo.
    if (choice.state !== state) {
      if (this.wasTried(this.keyOf(choice.state, choice.isOptional ? this.high : Math.max(this.high, choice.at)))) {
        this.takeBack(choice)
        return
      }
    }
    this.push(choice.state, choice)
  }

  private push(state: State, choice: Choice<State, T> | undefined): void {
    const highBefore = this.high
    if (choice !== undefined && !choice.isOptional) this.high = Math.max(this.high, choice.at)
    const before = choice?.isOptional && this.model.overwrites ? this.frames.at(-1)?.state : undefined
    const choices = this.requiredChoices(state, before)
    const isForced = choices.length === 1 && choices[0]?.state === state
    this.frames.push({ state, before, choices, next: 0, areOptionalTried: isForced, choice, highBefore })
  }

  private pop(): void {
    const frame = this.frames.pop()
    if (frame?.choice === undefined) return
    this.high = frame.highBefore
    this.takeBack(frame.choice)
  }

  private take({ at, isOptional }: Choice<State, T>): void {
    if (isOptional) {
      this.placedOptional.push(at)
      this.isPlaced[at] = 1
      return
    }
    const [before, after] = [this.before[at] ?? 0, this.after[at] ?? 0]
    this.after[before] = after
    this.before[after] = before
    this.left--
  }

  /** Operations are taken back in the reverse order, so that the links of one still name its neighbours. */
  private takeBack({ at, isOptional }: Choice<State, T>): void {
    if (isOptional) {
      this.placedOptional.pop()
      this.isPlaced[at] = 0
      return
    }
    this.after[this.before[at] ?? 0] = at
    this.before[this.after[at] ?? 0] = at
    this.left++
  }

  /** What may stand next: operations before whose call no operation that is not placed had returned. */
  private candidates(): { positions: number[]; firstReturn: number } {
    const positions: number[] = []
    let firstReturn = Infinity
    for (let at = this.after[this.head] ?? 0; at !== this.head; at = this.after[at] ?? 0) {
      const operation = this.required[at]
      if (operation === undefined || operation.call > firstReturn) break
      firstReturn = Math.min(firstReturn, operation.return)
      positions.push(at)
    }
    return { positions, firstReturn }
  }

  private requiredChoices(state: State, before: State | undefined): Choice<State, T>[] {
    const choices: Choice<State, T>[] = []
    for (const at of this.candidates().positions) {
      const operation = this.required[at]
      const next = operation && this.model.step(state, operation)
      if (operation === undefined || next === undefined || this.isIdle(before, operation)) continue
      const choice = { operation, at, isOptional: false, state: next }
      if (next === state) return [choice]
      choices.push(choice)
    }
    return choices.sort((a, b) => a.operation.return - b.operation.return || a.at - b.at)
  }

  private optionalChoices(state: State, before: State | undefined): Choice<State, T>[] {
    const { firstReturn } = this.candidates()
    const choices: Choice<State, T>[] = []
    const triedHere = new Set<number>()
    for (const [at, operation] of this.optional.entries()) {
      if (operation.call > firstReturn) break
      const kind = this.kinds[at] ?? 0
      if (this.isPlaced[at] === 1 || triedHere.has(kind)) continue
      triedHere.add(kind)
      if (this.isIdle(before, operation)) continue
      const next = this.model.step(state, operation)
      if (next !== undefined && next !== state) choices.push({ operation, at, isOptional: true, state: next })
    }
    return choices
  }

  /** Whether the optional operation that was placed last is of no use to this one, by the rule of `overwrites`. */
  private isIdle(before: State | undefined, operation: T): boolean {
    return before !== undefined && this.model.step(before, operation) !== undefined
  }

  /** Whoever has used fewer optional operations to come here can go wherever one who used more can. */
  private wasTried(key: string): boolean {
    const used = this.placedOptional.toSorted((a, b) => a - b)
    const before = this.tried.get(key)
    if (before === undefined) this.tried.set(key, [used])
    else if (before.some(fewer => isSubset(fewer, used))) return true
    else before.push(used)
    return false
  }

  /** Which required operations were placed is told by the highest position and by the few below it that are not. */
  private keyOf(state: State, high: number): string {
    const missing: number[] = []
    for (let at = this.after[this.head] ?? 0; at !== this.head && at < high; at = this.after[at] ?? 0) missing.push(at)
    return `${high}:${missing.join()}:${this.idOf(this.model.key(state))}`
  }

  /** The texts of states are long, and many places share one. */
  private idOf(stateKey: string): number {
    const known = this.stateIds.get(stateKey)
    if (known !== undefined) return known
    this.stateIds.set(stateKey, this.stateIds.size)
    return this.stateIds.size - 1
  }

  private order(): readonly T[] {
    return this.frames.flatMap(({ choice }) => (choice === undefined ? [] : [choice.operation]))
  }

  /** Called with every place that led nowhere. The deepest is the best explanation: nothing that had to come next could. */
  private remember(frame: Frame<State, T>): void {
    if (this.left >= this.bestLeft) return
    this.bestLeft = this.left
    const stuck = this.candidates().positions.flatMap(at => this.required[at] ?? [])
    this.best = { order: this.order(), state: frame.state, stuck }
  }

  private illegal(): Verdict<State, T> {
    const { order, state, stuck } = this.best ?? { order: [], state: this.model.start, stuck: [] }
    return { kind: 'illegal', order, state, stuck, states: this.states }
  }
}

/** Both in order. */
function isSubset(small: readonly number[], large: readonly number[]): boolean {
  let at = 0
  for (const one of large) if (one === small[at]) at++
  return at === small.length
}

function numberAlike(texts: readonly string[]): number[] {
  const numbers = new Map<string, number>()
  return texts.map(text => {
    const known = numbers.get(text) ?? numbers.size
    numbers.set(text, known)
    return known
  })
}

/** What people need of a verdict: the end of the longest order, and what could not follow it. */
export function explain<State, T>(
  verdict: Verdict<State, T>,
  describe: (operation: T) => string,
  lastCount = 12,
): string {
  switch (verdict.kind) {
    case 'ok':
      return `linearizable: ${verdict.order.length} operations`
    case 'unknown':
      return `unknown: ${verdict.why}`
    case 'illegal': {
      const last = verdict.order.slice(-lastCount).map(describe)
      const lines = [
        `not linearizable: after ${verdict.order.length} operations nothing can follow. The last of them:`,
        ...last.map(line => `  ${line}`),
        `which leads to: ${JSON.stringify(verdict.state)}`,
        'One of these had to come next, and none can:',
        ...verdict.stuck.map(operation => `  ${describe(operation)}`),
      ]
      return lines.join('\n')
    }
  }
}
