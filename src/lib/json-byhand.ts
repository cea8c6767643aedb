// JSON that JSON.parse must not see, read by hand.
//
// V8's JSON.parse takes a key with an escape in it for another one when an object of the same shape had that one before, and
// the other has a backslash of its own (https://github.com/nodejs/node/issues/63785): so the text of one client could change how
// that of another is read. Texts with such keys, which are few, are read here.

import { exactInteger, longInteger, stringEnd } from './json-text.ts'

const backslash = /\\(?:\\|u005[cC])/g

/** Whether a key has a backslash of its own. */
export function hasBackslashInKey(text: string): boolean {
  if (!text.includes('\\\\') && !text.includes('\\u005')) return false
  backslash.lastIndex = 0
  let found = backslash.exec(text)
  for (let at = text.indexOf('"'); at >= 0 && found !== null; at = text.indexOf('"', at + 1)) {
    at = stringEnd(text, at)
    if (found.index > at) continue
    if (isKeyEnd(text, at)) return true
    backslash.lastIndex = at
    found = backslash.exec(text)
  }
  return false
}

function isKeyEnd(text: string, end: number): boolean {
  let at = end + 1
  while (isSpace(text.charCodeAt(at))) at++
  return text.charCodeAt(at) === 0x3a
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d

/** What may come next in a text. */
const expects = { value: 1, valueOrEnd: 2, key: 3, keyOrEnd: 4, colon: 5, commaOrEnd: 6 } as const

export type Parsed = {
  readonly value: unknown
  /** There are bigints in it. */
  readonly isLong: boolean
}

export type Container = Record<string | number, unknown>

/** What JSON.parse should give, with exact integers. Throws SyntaxError as it does. */
export function parseByHand(text: string): Parsed {
  const root: unknown[] = []
  const outer: Container[] = []
  let into = root as unknown as Container
  let list: unknown[] | undefined = root
  let key = ''
  let expected: number = expects.value
  let isLong = false

  const wrong = (at: number): SyntaxError =>
    new SyntaxError(
      at < text.length
        ? `Unexpected ${JSON.stringify(text.charAt(at))} in JSON at position ${at}`
        : 'Unexpected end of JSON input',
    )
  function put(value: unknown): void {
    expected = expects.commaOrEnd
    if (list !== undefined) list.push(value)
    // What is set there is no key.
    else if (key === '__proto__') Object.defineProperty(into, key, { value, ...plain })
    else into[key] = value
  }
  function enter(container: object, next: number): void {
    put(container)
    outer.push(into)
    into = container as Container
    list = Array.isArray(container) ? container : undefined
    expected = next
  }
  function leave(at: number, canBeEmpty: number, isList: boolean): void {
    const before = outer.pop()
    const isOver = expected === expects.commaOrEnd || expected === canBeEmpty
    if (before === undefined || !isOver || (list !== undefined) !== isList) throw wrong(at)
    into = before
    list = Array.isArray(into) ? into : undefined
    expected = expects.commaOrEnd
  }

  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isSpace(code)) continue
    const wantsValue = expected === expects.value || expected === expects.valueOrEnd
    switch (code) {
      case 0x22: {
        const wantsKey = expected === expects.key || expected === expects.keyOrEnd
        if (!wantsKey && !wantsValue) throw wrong(at)
        const end = stringEnd(text, at)
        const said = textOf(text.slice(at, end + 1))
        if (wantsKey) {
          key = said
          expected = expects.colon
        } else put(said)
        at = end
        break
      }
      case 0x7b: // {
        if (!wantsValue) throw wrong(at)
        enter(apart(), expects.keyOrEnd)
        break
      case 0x5b: // [
        if (!wantsValue) throw wrong(at)
        enter([], expects.valueOrEnd)
        break
      case 0x7d: // }
        leave(at, expects.keyOrEnd, false)
        break
      case 0x5d:
        leave(at, expects.valueOrEnd, true)
        break
      case 0x2c: // ,
        if (expected !== expects.commaOrEnd || outer.length === 0) throw wrong(at)
        expected = list !== undefined ? expects.value : expects.key
        break
      case 0x3a: // :
        if (expected !== expects.colon) throw wrong(at)
        expected = expects.value
        break
      default: {
        if (!wantsValue) throw wrong(at)
        let end = at + 1
        while (end < text.length && !isEnd(text.charCodeAt(end))) end++
        const value = wordValue(text.slice(at, end))
        if (value === undefined) throw wrong(at)
        if (typeof value === 'bigint') isLong = true
        put(value)
        at = end - 1
      }
    }
  }
  if (expected !== expects.commaOrEnd || outer.length > 0) throw wrong(text.length)
  return { value: root[0], isLong }
}

/** Objects like all others, but of shapes of their own: what they hold is no hint for how others are read. */
function Apart(): void {}
Apart.prototype = Object.prototype
const apart = (): Container => new (Apart as unknown as new () => Container)()

const plain = { writable: true, enumerable: true, configurable: true }
const numeral = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/

/** Whether a number or a word ends before it. */
const isEnd = (code: number): boolean => code === 0x2c || code === 0x5d || code === 0x7d || isSpace(code)

/** Undefined: it is none. */
function wordValue(said: string): unknown {
  if (said === 'true') return true
  if (said === 'false') return false
  if (said === 'null') return null
  if (!numeral.test(said)) return undefined
  return said.length >= 16 && longInteger.test(said) ? exactInteger(BigInt(said)) : Number(said)
}

/** Throws SyntaxError for what may not be in a text. */
const textOf = (quoted: string): string =>
  needsReading.test(quoted) || quoted.length < 2 ? (JSON.parse(quoted) as string) : quoted.slice(1, -1)
const needsReading = /[\\\x00-\x1f]/
