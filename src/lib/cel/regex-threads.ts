// Runs a program with all its threads at once, so that nothing backtracks: time is linear in the text. Finds where the match
// is that the pattern prefers; regex-states.ts is faster where it is enough to know whether there is one.
import type { Assertion } from './regex-parse.ts'
import type { Instruction } from './regex-program.ts'

export type Span = { readonly start: number; readonly end: number }
/** What may still be spent. */
export type Budget = { steps: number }

/** Places in the program that wait for a character, in order of preference, each with where its match began. */
class Threads {
  readonly places: Int32Array
  readonly starts: Int32Array
  count = 0
  readonly #seen: Int32Array
  #generation = 0
  /** How many places were looked at since the last clearing. */
  visits = 0
  constructor(size: number) {
    this.places = new Int32Array(size)
    this.starts = new Int32Array(size)
    this.#seen = new Int32Array(size)
  }
  clear(): void {
    this.count = 0
    this.visits = 0
    this.#generation++
  }
  /** False when it is there already. */
  visit(place: number): boolean {
    this.visits++
    if (this.#seen[place] === this.#generation) return false
    this.#seen[place] = this.#generation
    return true
  }
  add(place: number, start: number): void {
    this.places[this.count] = place
    this.starts[this.count] = start
    this.count++
  }
}

/** The leftmost match at or after `from`; 'exhausted' when the budget was not enough to tell. */
export function findWith(
  program: readonly Instruction[],
  text: string,
  from: number,
  budget: Budget,
): Span | undefined | 'exhausted' {
  let current = new Threads(program.length)
  let next = new Threads(program.length)
  const follower = new Follower(program, text)
  current.clear()
  let found: Span | undefined
  for (let at = from; ; ) {
    const code = at < text.length ? (text.codePointAt(at) ?? 0) : -1
    // A later start is preferred less than all that runs, and no longer matters once there is a match.
    if (found === undefined) follower.follow(current, 0, at, at)
    if (current.count === 0 && found !== undefined) return found
    budget.steps -= 1 + current.count + current.visits
    if (budget.steps < 0) return 'exhausted'
    next.clear()
    const width = code > 0xffff ? 2 : 1
    for (let i = 0; i < current.count; i++) {
      const place = current.places[i] ?? 0
      const instruction = program[place]
      if (instruction?.op === 'match') {
        found = { start: current.starts[i] ?? 0, end: at }
        break
      }
      if (code >= 0 && instruction?.op === 'char' && instruction.test(code)) {
        follower.follow(next, place + 1, current.starts[i] ?? 0, at + width)
      }
    }
    if (code < 0) return found
    at += width
    const spent = current
    current = next
    next = spent
  }
}

/** Walks from a place to all that can be reached from it without a character. */
class Follower {
  readonly #program: readonly Instruction[]
  readonly #text: string
  /** Each split is visited once and pushes one place. */
  readonly #stack: Int32Array
  constructor(program: readonly Instruction[], text: string) {
    this.#program = program
    this.#text = text
    this.#stack = new Int32Array(program.length)
  }

  /** Adds what waits for a character, preferred first. */
  follow(threads: Threads, from: number, start: number, at: number): void {
    const stack = this.#stack
    let height = 0
    let place = from
    for (;;) {
      if (threads.visit(place)) {
        const instruction = this.#program[place]
        if (instruction?.op === 'split') {
          stack[height++] = instruction.otherwise
          place = instruction.to
          continue
        }
        if (instruction?.op === 'jump') {
          place = instruction.to
          continue
        }
        if (instruction?.op === 'assert') {
          if (asserts(instruction.assertion, this.#text, at)) {
            place++
            continue
          }
        } else threads.add(place, start)
      }
      if (height === 0) return
      place = stack[--height] ?? 0
    }
  }
}

function asserts(assertion: Assertion, text: string, at: number): boolean {
  switch (assertion) {
    case 'begin':
      return at === 0
    case 'end':
      return at === text.length
    case 'lineBegin':
      return at === 0 || text[at - 1] === '\n'
    case 'lineEnd':
      return at === text.length || text[at] === '\n'
    case 'word':
      return isWord(text[at - 1]) !== isWord(text[at])
    case 'notWord':
      return isWord(text[at - 1]) === isWord(text[at])
  }
}

const isWord = (char: string | undefined): boolean => char !== undefined && /^[0-9A-Za-z_]$/.test(char)
