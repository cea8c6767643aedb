// Regular expressions of RE2's syntax, matched in time linear in the text whatever the pattern, and given up when even that
// is too long. No pattern that a user writes can hold the process. Called by the functions that take patterns.
import { PatternError, parsePattern } from './regex-parse.ts'
import { assemble, type Instruction } from './regex-program.ts'
import { States } from './regex-states.ts'
import { type Budget, findWith, type Span } from './regex-threads.ts'
import { Failure } from './values.ts'

export type Regex = {
  /** Whether any part of the text matches. A failure when that would take too long to tell. */
  readonly matches: (text: string) => boolean | Failure
  /** The first match, preferring what the pattern prefers. */
  readonly find: (text: string) => Span | undefined | Failure
  /** All matches from left to right, at most `countMax`; an empty one right behind another does not count. */
  readonly findAll: (text: string, countMax: number) => readonly Span[] | Failure
}

/**
 * Steps of the automaton before a match is given up: about a second. Linear is not enough: a program of thousands of
 * instructions on megabytes of text is too long to wait for.
 */
const stepCountMax = 30_000_000
const tooLong = new Failure('regular expression takes too many steps on this text')

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
    return regexOf(assemble(parsePattern(pattern)))
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    return new Failure(`error parsing regexp: ${error.message}`)
  }
}

function regexOf(program: readonly Instruction[]): Regex {
  const states = States.of(program)
  const whole = (): Budget => ({ steps: stepCountMax })
  return {
    matches: text => {
      const found = states?.matches(text, whole()) ?? findWith(program, text, 0, whole())
      if (found === 'exhausted') return tooLong
      return typeof found === 'boolean' ? found : found !== undefined
    },
    find: text => {
      const found = findWith(program, text, 0, whole())
      return found === 'exhausted' ? tooLong : found
    },
    findAll: (text, countMax) => findAll(program, text, countMax, whole()),
  }
}

function findAll(
  program: readonly Instruction[],
  text: string,
  countMax: number,
  budget: Budget,
): readonly Span[] | Failure {
  const spans: Span[] = []
  let behind = -1
  for (let at = 0; at <= text.length && spans.length < countMax; ) {
    const found = findWith(program, text, at, budget)
    if (found === 'exhausted') return tooLong
    if (found === undefined) break
    const { start, end } = found
    if (end > start || start !== behind) spans.push(found)
    behind = end
    at = end > start ? end : end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1)
  }
  return spans
}
