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

const cached = new Map<string, { readonly regex: Regex | Failure; readonly size: number }>()
/** Instructions of all that is kept, so that a few large patterns do not fill the memory. */
const cachedSizeMax = 200_000
let cachedSize = 0

/** The pattern made ready; a failure says why it is none. */
export function regexFor(pattern: string): Regex | Failure {
  const known = cached.get(pattern)
  if (known !== undefined) return known.regex
  const made = compileRegex(pattern)
  cached.set(pattern, made)
  cachedSize += made.size
  for (const [oldest, { size }] of cached) {
    if (cachedSize <= cachedSizeMax) break
    cached.delete(oldest)
    cachedSize -= size
  }
  return made.regex
}

function compileRegex(pattern: string): { regex: Regex | Failure; size: number } {
  // The states that matching makes take room, too.
  const overhead = 500 + pattern.length
  try {
    const program = assemble(parsePattern(pattern))
    return { regex: regexOf(program), size: overhead + program.length }
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    return { regex: new Failure(`error parsing regexp: ${error.message}`), size: overhead }
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
