// Regular expressions in RE2's syntax (github.com/google/re2/wiki/Syntax), to a tree. Refused is what RE2 refuses: back
// references, look-around, repetition beyond 1000. Called by regex.ts.

/** Matches one code point. */
export type CharSet = {
  readonly ranges: readonly (readonly [number, number])[]
  /** Unicode classes, each a test of one character. */
  readonly classes: readonly { readonly test: RegExp; readonly negated: boolean }[]
  readonly negated: boolean
  /** Letters match in either case. */
  readonly fold: boolean
}

export type Assertion = 'begin' | 'end' | 'lineBegin' | 'lineEnd' | 'word' | 'notWord'

export type Node =
  | { readonly kind: 'empty' }
  | { readonly kind: 'char'; readonly set: CharSet }
  | { readonly kind: 'assert'; readonly assertion: Assertion }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number; readonly lazy: boolean }

/** Why a pattern is refused, in Go's words. */
export class PatternError extends Error {}

const repeatMax = 1_000
const depthMax = 1_000
const largest = 0x10ffff

type Flags = {
  readonly fold: boolean
  readonly multiline: boolean
  readonly dotAll: boolean
  readonly ungreedy: boolean
}

export function parsePattern(pattern: string): Node {
  return new PatternParser(pattern).whole()
}

type Ranges = readonly (readonly [number, number])[]
const digit: Ranges = [[0x30, 0x39]]
const wordRanges: Ranges = [...digit, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]
const spaceRanges: Ranges = [
  [0x09, 0x0a],
  [0x0c, 0x0d],
  [0x20, 0x20],
]
const perl: Readonly<Record<string, Ranges>> = { d: digit, w: wordRanges, s: spaceRanges }
const posix: Readonly<Record<string, Ranges>> = {
  alnum: [...digit, [0x41, 0x5a], [0x61, 0x7a]],
  alpha: [
    [0x41, 0x5a],
    [0x61, 0x7a],
  ],
  ascii: [[0, 0x7f]],
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit,
  graph: [[0x21, 0x7e]],
  lower: [[0x61, 0x7a]],
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  upper: [[0x41, 0x5a]],
  word: wordRanges,
  xdigit: [...digit, [0x41, 0x46], [0x61, 0x66]],
}
const controls: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }

/** What is not in these ranges. */
function complement(ranges: Ranges): Ranges {
  const gaps: [number, number][] = []
  let next = 0
  for (const [low, high] of ranges.toSorted((a, b) => a[0] - b[0])) {
    if (low > next) gaps.push([next, low - 1])
    next = Math.max(next, high + 1)
  }
  if (next <= largest) gaps.push([next, largest])
  return gaps
}

type ClassPart = Pick<CharSet, 'ranges' | 'classes'>
const ofRanges = (ranges: Ranges): ClassPart => ({ ranges, classes: [] })

class PatternParser {
  readonly #pattern: string
  #at = 0
  #depth = 0
  #flags: Flags = { fold: false, multiline: false, dotAll: false, ungreedy: false }
  constructor(pattern: string) {
    this.#pattern = pattern
  }

  whole(): Node {
    const node = this.#choice()
    if (this.#at < this.#pattern.length) throw new PatternError(`unexpected ): \`${this.#pattern}\``)
    return node
  }

  #sees(text: string): boolean {
    return this.#pattern.startsWith(text, this.#at)
  }

  #take(text: string): boolean {
    if (!this.#sees(text)) return false
    this.#at += text.length
    return true
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#pattern)
    if (found === null) return undefined
    this.#at += found[0].length
    return found
  }

  #choice(): Node {
    if (++this.#depth > depthMax) throw new PatternError(`expression nests too deeply: \`${this.#pattern}\``)
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    this.#depth--
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'choice', parts }
  }

  #sequence(): Node {
    const parts: Node[] = []
    while (this.#at < this.#pattern.length && !this.#sees('|') && !this.#sees(')')) {
      if (this.#take('\\Q')) parts.push(...this.#quoted())
      else {
        const start = this.#at
        const atom = this.#atom()
        if (atom !== undefined) parts.push(this.#repeated(atom, start))
      }
    }
    return { kind: 'sequence', parts }
  }

  #quoted(): Node[] {
    const end = this.#pattern.indexOf('\\E', this.#at)
    const text = this.#pattern.slice(this.#at, end === -1 ? undefined : end)
    this.#at = end === -1 ? this.#pattern.length : end + 2
    return [...text].map(char => this.#char(char.codePointAt(0) ?? 0))
  }

  #char(code: number): Node {
    return this.#set(ofRanges([[code, code]]), false)
  }

  #set(part: ClassPart, negated: boolean): Node {
    return { kind: 'char', set: { ...part, negated, fold: this.#flags.fold } }
  }

  #repeated(atom: Node, start: number): Node {
    let node = atom
    for (let count = 0; ; count++) {
      const from = this.#at
      const bounds = this.#repetition()
      if (bounds === undefined) return node
      if (count > 0) {
        const text = this.#pattern.slice(from - 1, this.#at)
        throw new PatternError(`invalid nested repetition operator: \`${text}\``)
      }
      const [min, max] = bounds
      if (min > repeatMax || (max > repeatMax && max !== Number.POSITIVE_INFINITY) || min > max) {
        throw new PatternError(`invalid repeat count: \`${this.#pattern.slice(from, this.#at)}\``)
      }
      const lazy = this.#take('?') !== this.#flags.ungreedy
      node = { kind: 'repeat', part: node, min, max, lazy }
      if (start < 0) return node
    }
  }

  #repetition(): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.#take('?')) return [0, 1]
    const counted = this.#match(/\{(\d{1,5})(?:(,)(\d{1,5})?)?\}/y)
    if (counted === undefined) return undefined
    const min = Number(counted[1])
    if (counted[2] === undefined) return [min, min]
    return [min, counted[3] === undefined ? Number.POSITIVE_INFINITY : Number(counted[3])]
  }

  /** undefined for what matches nothing itself: flags. */
  #atom(): Node | undefined {
    const code = this.#pattern.codePointAt(this.#at) ?? 0
    const char = String.fromCodePoint(code)
    if (char === '(') return this.#group()
    if (char === '[') return this.#class()
    if (char === '\\') return this.#escape()
    if ('*+?'.includes(char)) throw new PatternError(`missing argument to repetition operator: \`${char}\``)
    this.#at += char.length
    switch (char) {
      case '.':
        return this.#set(ofRanges(this.#flags.dotAll ? [[0, largest]] : complement([[10, 10]])), false)
      case '^':
        return { kind: 'assert', assertion: this.#flags.multiline ? 'lineBegin' : 'begin' }
      case '$':
        return { kind: 'assert', assertion: this.#flags.multiline ? 'lineEnd' : 'end' }
      default:
        return this.#char(code)
    }
  }

  #group(): Node | undefined {
    const start = this.#at
    this.#at++
    const outer = this.#flags
    if (this.#take('?') && this.#match(/P?<[A-Za-z_][A-Za-z0-9_]*>/y) === undefined) {
      const found = this.#match(/([imsU]*)(?:-([imsU]+))?([:)])/y)
      if (found === undefined) {
        throw new PatternError(`invalid or unsupported Perl syntax: \`${this.#pattern.slice(start, this.#at + 1)}\``)
      }
      this.#flags = withFlags(withFlags(outer, found[1] ?? '', true), found[2] ?? '', false)
      if (found[3] === ')') return undefined
    }
    const node = this.#choice()
    if (!this.#take(')')) throw new PatternError(`missing closing ): \`${this.#pattern}\``)
    this.#flags = outer
    return node
  }

  #escape(): Node {
    const assertion = this.#match(/\\([AzbB])/y)?.[1]
    if (assertion !== undefined) {
      const known: Readonly<Record<string, Assertion>> = { A: 'begin', z: 'end', b: 'word', B: 'notWord' }
      return { kind: 'assert', assertion: known[assertion] ?? 'begin' }
    }
    const part = this.#classEscape()
    return part !== undefined ? this.#set(part, false) : this.#char(this.#escapedChar())
  }

  /** \d, \pL and their kin. */
  #classEscape(): ClassPart | undefined {
    const found = this.#match(/\\([dwsDWS])/y)?.[1]
    if (found !== undefined) {
      const ranges = perl[found.toLowerCase()] ?? []
      return ofRanges(found === found.toLowerCase() ? ranges : complement(ranges))
    }
    const unicode = this.#match(/\\([pP])(?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))/y)
    if (unicode === undefined) return undefined
    const [all, letter, caret, long, short] = unicode
    const name = long ?? short ?? ''
    if (name === 'Any') return ofRanges((letter === 'P') === (caret === '^') ? [[0, largest]] : [])
    return { ranges: [], classes: [{ test: unicodeClass(name, all), negated: (letter === 'P') !== (caret === '^') }] }
  }

  #escapedChar(): number {
    const found = this.#match(
      /\\(?:([aftnrv])|x\{([0-9A-Fa-f]{1,8})\}|x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})|([^A-Za-z0-9\u{80}-\u{10ffff}]))/uy,
    )
    const [, control, braced, hex, octal, char] = found ?? []
    if (control !== undefined) return controls[control] ?? 0
    if (octal !== undefined) return Number.parseInt(octal, 8)
    if (char !== undefined) return char.codePointAt(0) ?? 0
    const code = Number.parseInt(braced ?? hex ?? '', 16)
    if (Number.isNaN(code) || code > largest) {
      const bad = [...this.#pattern.slice(this.#at, this.#at + 3)].slice(0, 2).join('')
      throw new PatternError(
        bad.length < 2 ? 'trailing backslash at end of expression: ``' : `invalid escape sequence: \`${bad}\``,
      )
    }
    return code
  }

  #class(): Node {
    const start = this.#at
    this.#at++
    const negated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    const classes: { test: RegExp; negated: boolean }[] = []
    for (let first = true; first || !this.#sees(']'); first = false) {
      if (this.#at >= this.#pattern.length) {
        throw new PatternError(`missing closing ]: \`${this.#pattern.slice(start)}\``)
      }
      const part = this.#posixClass() ?? this.#classEscape() ?? ofRanges([this.#range()])
      ranges.push(...part.ranges)
      classes.push(...part.classes)
    }
    this.#at++
    return this.#set({ ranges, classes }, negated)
  }

  #posixClass(): ClassPart | undefined {
    const found = this.#match(/\[:(\^?)(\w+):\]/y)
    if (found === undefined) return undefined
    const name = found[2] ?? ''
    const ranges = Object.hasOwn(posix, name) ? posix[name] : undefined
    if (ranges === undefined) throw new PatternError(`invalid character class range: \`${found[0]}\``)
    return ofRanges(found[1] === '^' ? complement(ranges) : ranges)
  }

  #range(): readonly [number, number] {
    const start = this.#at
    const low = this.#classChar()
    const dash = this.#pattern.slice(this.#at, this.#at + 2)
    if (!dash.startsWith('-') || dash === '-]' || dash === '-') return [low, low]
    this.#at++
    const high = this.#classChar()
    if (high < low) {
      throw new PatternError(`invalid character class range: \`${this.#pattern.slice(start, this.#at)}\``)
    }
    return [low, high]
  }

  #classChar(): number {
    if (this.#sees('\\')) return this.#escapedChar()
    const code = this.#pattern.codePointAt(this.#at) ?? 0
    this.#at += code > 0xffff ? 2 : 1
    return code
  }
}

function withFlags(flags: Flags, letters: string, on: boolean): Flags {
  return {
    fold: letters.includes('i') ? on : flags.fold,
    multiline: letters.includes('m') ? on : flags.multiline,
    dotAll: letters.includes('s') ? on : flags.dotAll,
    ungreedy: letters.includes('U') ? on : flags.ungreedy,
  }
}

/** A general category or a script. The platform tests one character, so that no backtracking can come of it. */
function unicodeClass(name: string, written: string): RegExp {
  const property = /^[A-Z][a-z]?$/.test(name) ? `General_Category=${name}` : `Script=${name}`
  try {
    return new RegExp(`^\\p{${property}}$`, 'u')
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new PatternError(`invalid character class range: \`${written}\``)
  }
}
