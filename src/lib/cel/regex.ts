// Matches regular expressions of RE2's syntax in time linear in the text: all threads of the automaton advance together,
// one character at a time (R. Cox, "Regular Expression Matching: the Virtual Machine Approach"). Nothing backtracks, so no
// pattern that a user writes can hold the process. Called by the functions that take patterns.
import { type Assertion, type CharSet, type Node, PatternError, parsePattern } from './regex-parse.ts'
import { Failure } from './values.ts'

export type Span = { readonly start: number; readonly end: number }

export type Regex = {
  /** Whether any part of the text matches. */
  readonly matches: (text: string) => boolean
  /** The leftmost match at or after `from`, preferring what the pattern prefers, in UTF-16 offsets. */
  readonly find: (text: string, from: number) => Span | undefined
}

type Instruction =
  | { readonly op: 'char'; readonly test: (code: number) => boolean }
  /** Goes to both; `to` is preferred. */
  | { readonly op: 'split'; to: number; otherwise: number }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'assert'; readonly assertion: Assertion }
  | { readonly op: 'match' }

/** Repetitions are written out, so that small patterns can be large programs. */
const instructionCountMax = 20_000

const cached = new Map<string, Regex | Failure>()
const cachedCountMax = 256

/** The pattern made ready; a failure says why it is none. */
export function regexFor(pattern: string): Regex | Failure {
  const known = cached.get(pattern)
  if (known !== undefined) return known
  const made = compileRegex(pattern)
  const [oldest] = cached.keys()
  if (cached.size >= cachedCountMax && oldest !== undefined) cached.delete(oldest)
  cached.set(pattern, made)
  return made
}

function compileRegex(pattern: string): Regex | Failure {
  try {
    const program = assemble(parsePattern(pattern))
    return {
      matches: text => run(program, text, 0, 'any') !== undefined,
      find: (text, from) => run(program, text, from, 'preferred'),
    }
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    return new Failure(`error parsing regexp: ${error.message}`)
  }
}

function assemble(tree: Node): readonly Instruction[] {
  const program: Instruction[] = []
  const push = <T extends Instruction>(instruction: T): T => {
    if (program.length >= instructionCountMax) throw new PatternError('expression too large')
    program.push(instruction)
    return instruction
  }
  const loop = (part: Node, lazy: boolean): void => {
    const start = program.length
    const split = push({ op: 'split', to: 0, otherwise: 0 })
    emit(part)
    push({ op: 'jump', to: start })
    branch(split, start + 1, program.length, lazy)
  }
  const optional = (part: Node, lazy: boolean, count: number): void => {
    const splits = Array.from({ length: count }, () => {
      const split = push({ op: 'split', to: 0, otherwise: 0 })
      const start = program.length
      emit(part)
      return { split, start }
    })
    for (const { split, start } of splits) branch(split, start, program.length, lazy)
  }
  const choose = (parts: readonly Node[]): void => {
    const jumps: { to: number }[] = []
    for (const [i, part] of parts.entries()) {
      if (i === parts.length - 1) {
        emit(part)
        continue
      }
      const split = push({ op: 'split', to: program.length + 1, otherwise: 0 })
      emit(part)
      jumps.push(push({ op: 'jump', to: 0 }))
      split.otherwise = program.length
    }
    for (const jump of jumps) jump.to = program.length
  }
  const emit = (node: Node): void => {
    switch (node.kind) {
      case 'empty':
        return
      case 'char':
        push({ op: 'char', test: testOf(node.set) })
        return
      case 'assert':
        push({ op: 'assert', assertion: node.assertion })
        return
      case 'sequence':
        for (const part of node.parts) emit(part)
        return
      case 'choice':
        choose(node.parts)
        return
      case 'repeat': {
        for (let i = 0; i < node.min; i++) emit(node.part)
        if (node.max === Number.POSITIVE_INFINITY) loop(node.part, node.lazy)
        else optional(node.part, node.lazy, node.max - node.min)
      }
    }
  }
  emit(tree)
  push({ op: 'match' })
  return program
}

function branch(split: { to: number; otherwise: number }, into: number, past: number, lazy: boolean): void {
  split.to = lazy ? past : into
  split.otherwise = lazy ? into : past
}

function testOf(set: CharSet): (code: number) => boolean {
  const [only] = set.ranges
  if (only !== undefined && set.ranges.length === 1 && set.classes.length === 0 && !set.negated && !set.fold) {
    const [low, high] = only
    return code => code >= low && code <= high
  }
  const holds = (code: number): boolean =>
    set.ranges.some(([low, high]) => code >= low && code <= high) ||
    set.classes.some(({ test, negated }) => test.test(String.fromCodePoint(code)) !== negated)
  const folded = set.fold ? (code: number) => casesOf(code).some(holds) : holds
  const table = Uint8Array.from({ length: 128 }, (_, code) => (folded(code) !== set.negated ? 1 : 0))
  return code => (code < 128 ? table[code] === 1 : folded(code) !== set.negated)
}

/** A character in all its cases. The Kelvin sign and the long s fold to ASCII letters. */
function casesOf(code: number): readonly number[] {
  const char = String.fromCodePoint(code)
  const forms = [char, char.toLowerCase(), char.toUpperCase(), char.toUpperCase().toLowerCase()]
  const extra = char === 'k' || char === 'K' ? ['\u212a'] : char === 's' || char === 'S' ? ['\u017f'] : []
  return [...forms, ...extra].filter(form => [...form].length === 1).map(form => form.codePointAt(0) ?? 0)
}

/** Places in the program that wait for a character, in order of preference, each with where its match began. */
class Threads {
  readonly places: Int32Array
  readonly starts: Int32Array
  count = 0
  readonly #seen: Int32Array
  #generation = 0
  constructor(size: number) {
    this.places = new Int32Array(size)
    this.starts = new Int32Array(size)
    this.#seen = new Int32Array(size)
  }
  clear(): void {
    this.count = 0
    this.#generation++
  }
  /** False when it is there already. */
  visit(place: number): boolean {
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

function run(
  program: readonly Instruction[],
  text: string,
  from: number,
  which: 'any' | 'preferred',
): Span | undefined {
  let current = new Threads(program.length)
  let next = new Threads(program.length)
  current.clear()
  let found: Span | undefined
  for (let at = from; ; ) {
    const code = at < text.length ? (text.codePointAt(at) ?? 0) : -1
    // A later start is preferred less than all that runs, and no longer matters once there is a match.
    if (found === undefined) follow(program, current, 0, at, text, at)
    if (current.count === 0) return found
    next.clear()
    const width = code > 0xffff ? 2 : 1
    for (let i = 0; i < current.count; i++) {
      const place = current.places[i] ?? 0
      const start = current.starts[i] ?? 0
      const instruction = program[place]
      if (instruction?.op === 'match') {
        found = { start, end: at }
        if (which === 'any') return found
        break
      }
      if (code >= 0 && instruction?.op === 'char' && instruction.test(code)) {
        follow(program, next, place + 1, start, text, at + width)
      }
    }
    if (code < 0) return found
    at += width
    ;[current, next] = [next, current]
  }
}

/** Adds a place and all that can be reached from it without a character, preferred first. */
function follow(
  program: readonly Instruction[],
  threads: Threads,
  from: number,
  start: number,
  text: string,
  at: number,
): void {
  const stack = [from]
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    if (!threads.visit(place)) continue
    const instruction = program[place]
    switch (instruction?.op) {
      case 'jump':
        stack.push(instruction.to)
        break
      case 'split':
        stack.push(instruction.otherwise, instruction.to)
        break
      case 'assert':
        if (asserts(instruction.assertion, text, at)) stack.push(place + 1)
        break
      default:
        threads.add(place, start)
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
