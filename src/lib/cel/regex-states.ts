// Tells whether a text has a match, by states that stand for sets of threads: each is made when it is first met, and a
// character then costs one look-up (Cox, "Regular Expression Matching Can Be Simple And Fast"). Bounded: too many states,
// and all are forgotten.
import type { Instruction } from './regex-program.ts'
import type { Budget } from './regex-threads.ts'

type State = {
  /** Places that wait for a character or for the end, ascending. */
  readonly places: Int32Array
  readonly accepts: boolean
  readonly acceptsAtEnd: boolean
  /** By character, as far as it is known. */
  readonly next: Map<number, State>
  readonly nextAscii: (State | undefined)[]
}

const stateCountMax = 200
/** Places of all states together. */
const placeCountMax = 100_000

export class States {
  readonly #program: readonly Instruction[]
  readonly #seen: Int32Array
  #generation = 0
  #states = new Map<string, State>()
  #placeCount = 0
  #first: State | undefined
  constructor(program: readonly Instruction[]) {
    this.#program = program
    this.#seen = new Int32Array(program.length)
  }

  /** undefined for a program that looks at more than one character at a time: at words or lines. */
  static of(program: readonly Instruction[]): States | undefined {
    const simple = program.every(one => one.op !== 'assert' || one.assertion === 'begin' || one.assertion === 'end')
    return simple ? new States(program) : undefined
  }

  /** 'exhausted' when the budget was not enough to tell. */
  matches(text: string, budget: Budget): boolean | 'exhausted' {
    this.#first ??= this.#stateOf([0], true, budget)
    let state = this.#first
    for (let at = 0; at < text.length; ) {
      if (state.accepts) return true
      const code = text.codePointAt(at) ?? 0
      at += code > 0xffff ? 2 : 1
      state = (code < 128 ? state.nextAscii[code] : state.next.get(code)) ?? this.#step(state, code, budget)
      if (--budget.steps < 0) return 'exhausted'
    }
    return state.accepts || state.acceptsAtEnd
  }

  #step(state: State, code: number, budget: Budget): State {
    const reached: number[] = []
    for (const place of state.places) {
      const instruction = this.#program[place]
      if (instruction?.op === 'char' && instruction.test(code)) reached.push(place + 1)
    }
    budget.steps -= state.places.length
    // A match may begin anywhere.
    const next = this.#stateOf([...reached, 0], false, budget)
    if (code < 128) state.nextAscii[code] = next
    else if (state.next.size < stateCountMax) state.next.set(code, next)
    return next
  }

  #stateOf(from: readonly number[], atBegin: boolean, budget: Budget): State {
    const places = this.#follow(from, { begin: atBegin, end: false }, budget)
    const key = places.join()
    const known = this.#states.get(key)
    if (known !== undefined) return known
    const isMatch = (place: number) => this.#program[place]?.op === 'match'
    const ends = places.filter(place => this.#program[place]?.op === 'assert').map(place => place + 1)
    const state: State = {
      places: Int32Array.from(places),
      accepts: places.some(isMatch),
      acceptsAtEnd: this.#follow(ends, { begin: false, end: true }, budget).some(isMatch),
      next: new Map(),
      nextAscii: new Array<State | undefined>(128).fill(undefined),
    }
    if (this.#states.size >= stateCountMax || this.#placeCount > placeCountMax) this.#forget()
    this.#states.set(key, state)
    this.#placeCount += places.length
    return state
  }

  /** States that are in use stay until nothing leads to them. */
  #forget(): void {
    for (const state of this.#states.values()) {
      state.next.clear()
      state.nextAscii.fill(undefined)
    }
    this.#states = new Map()
    this.#placeCount = 0
    this.#first = undefined
  }

  #follow(from: readonly number[], holds: { begin: boolean; end: boolean }, budget: Budget): number[] {
    this.#generation++
    const places: number[] = []
    const stack = [...from]
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      if (this.#seen[place] === this.#generation) continue
      this.#seen[place] = this.#generation
      budget.steps--
      const instruction = this.#program[place]
      if (instruction?.op === 'split') stack.push(instruction.otherwise, instruction.to)
      else if (instruction?.op === 'jump') stack.push(instruction.to)
      else if (instruction?.op === 'assert') {
        if (holds[instruction.assertion === 'begin' ? 'begin' : 'end']) stack.push(place + 1)
        else if (instruction.assertion === 'end') places.push(place)
      } else places.push(place)
    }
    return places.sort((a, b) => a - b)
  }
}
