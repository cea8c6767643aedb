// Text to tokens, by the grammar of cel-spec ("Syntax"). Total: what is no token becomes an issue. Called by parser.ts.
import { compact } from './ints.ts'
import type { Issue } from './source.ts'

export type Token = {
  readonly kind: 'ident' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'symbol' | 'keyword' | 'end'
  /** As written; for a symbol or keyword, what tells it apart. */
  readonly text: string
  readonly offset: number
  /** What a string or bytes literal holds. */
  readonly string?: string
  readonly bytes?: Uint8Array
}

/** Words that are no names. */
const keywords = new Set(['true', 'false', 'null', 'in'])
/** Words that no variable or function may have, kept for other languages' sake. */
export const reserved = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(' '),
)

const space = /[ \t\r\n\f]+|\/\/[^\n]*/y
const word = /[_a-zA-Z][_a-zA-Z0-9]*/y
const number =
  /(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)|0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?/y
const symbol = /&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()[\]{}]/y
const prefix = /(?:[bB][rR]?|[rR][bB]?)?(?="|')/y

export function tokenize(source: string): { tokens: Token[]; issues: Issue[] } {
  const tokens: Token[] = []
  const issues: Issue[] = []
  let at = 0
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(source)?.[0]
  }
  while (at < source.length) {
    const skipped = match(space)
    if (skipped !== undefined) {
      at += skipped.length
      continue
    }
    const before = match(prefix)
    if (before !== undefined) {
      const found = quoted(source, at, before.toLowerCase())
      if ('token' in found) tokens.push(found.token)
      else issues.push(found.issue)
      at = found.end
      continue
    }
    const token = nextToken(match, at)
    if (token === undefined) {
      const bad = String.fromCodePoint(source.codePointAt(at) ?? 0)
      issues.push({ offset: at, message: `Syntax error: token recognition error at: '${bad}'` })
      at += bad.length
      continue
    }
    tokens.push(token)
    at += token.text.length
  }
  tokens.push({ kind: 'end', text: '<EOF>', offset: source.length })
  return { tokens, issues }
}

function nextToken(match: (pattern: RegExp) => string | undefined, offset: number): Token | undefined {
  const name = match(word)
  if (name !== undefined) return { kind: keywords.has(name) ? 'keyword' : 'ident', text: name, offset }
  const digits = match(number)
  if (digits !== undefined) return { kind: numberKind(digits), text: digits, offset }
  const sign = match(symbol)
  return sign === undefined ? undefined : { kind: 'symbol', text: sign, offset }
}

function numberKind(text: string): 'int' | 'uint' | 'double' {
  if (/u$/i.test(text)) return 'uint'
  return !text.startsWith('0x') && /[.eE]/.test(text) ? 'double' : 'int'
}

/** The integer of an int or uint token, of any size. */
export const integerOf = (text: string): ReturnType<typeof compact> => compact(BigInt(text.replace(/[uU]$/, '')))

type Quoted = { end: number } & ({ token: Token } | { issue: Issue })

function quoted(source: string, start: number, prefix: string): Quoted {
  const open = start + prefix.length
  const quote = source[open] ?? ''
  const triple = source.startsWith(quote.repeat(3), open)
  const mark = triple ? quote.repeat(3) : quote
  const raw = prefix.includes('r')
  const from = open + mark.length
  const to = endOfQuote(source, from, mark, raw)
  if (to === undefined) {
    const end = triple ? source.length : lineEnd(source, from)
    const message = `Syntax error: token recognition error at: '${source.slice(start, end)}'`
    return { end, issue: { offset: start, message } }
  }
  const end = to + mark.length
  const text = source.slice(start, end)
  const body = source.slice(from, to)
  if (!prefix.includes('b')) {
    const string = raw ? body : textOf(body)
    if (string === undefined) return { end, issue: { offset: start, message: 'invalid string literal' } }
    return { end, token: { kind: 'string', text, offset: start, string } }
  }
  const bytes = raw ? utf8(body) : bytesOf(body)
  if (bytes === undefined) return { end, issue: { offset: start, message: 'invalid bytes literal' } }
  return { end, token: { kind: 'bytes', text, offset: start, bytes } }
}

const lineEnd = (source: string, from: number): number => {
  const found = source.indexOf('\n', from)
  return found === -1 ? source.length : found
}

function endOfQuote(source: string, from: number, mark: string, raw: boolean): number | undefined {
  for (let i = from; i < source.length; i++) {
    if (source.startsWith(mark, i)) return i
    const unit = source[i]
    if (unit === '\\' && !raw) i++
    else if (mark.length === 1 && (unit === '\n' || unit === '\r')) return undefined
  }
  return undefined
}

const escapeSequence =
  /\\(?:([abfnrtv\\?"'`])|x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))/y
const simple: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

type Piece = { text: string } | { code: number; byte: boolean }

/** The pieces of a literal: text, and what escapes stand for. undefined for an escape that does not exist. */
function pieces(body: string): Piece[] | undefined {
  const found: Piece[] = []
  for (let at = 0; at < body.length; ) {
    const next = body.indexOf('\\', at)
    if (next !== at) {
      const end = next === -1 ? body.length : next
      found.push({ text: body.slice(at, end) })
      at = end
      continue
    }
    escapeSequence.lastIndex = at
    const match = escapeSequence.exec(body)
    if (match === null) return undefined
    const [all, letter, x, upperX, u, upperU, octal] = match
    if (letter !== undefined) found.push({ text: simple[letter] ?? letter })
    else {
      const short = x ?? upperX
      const code = octal !== undefined ? Number.parseInt(octal, 8) : Number.parseInt(short ?? u ?? upperU ?? '0', 16)
      found.push({ code, byte: octal !== undefined || short !== undefined })
    }
    at += all.length
  }
  return found
}

function textOf(body: string): string | undefined {
  const found = pieces(body)
  if (found === undefined) return undefined
  let text = ''
  for (const piece of found) {
    if ('text' in piece) text += piece.text
    else if (piece.code > 0x10ffff || (piece.code >= 0xd800 && piece.code <= 0xdfff)) return undefined
    else text += String.fromCodePoint(piece.code)
  }
  return text
}

function bytesOf(body: string): Uint8Array | undefined {
  const found = pieces(body)
  // Unicode escapes name code points, and bytes have none.
  if (found === undefined || found.some(piece => 'code' in piece && !piece.byte)) return undefined
  return Uint8Array.from(found.flatMap(piece => ('text' in piece ? [...utf8(piece.text)] : [piece.code])))
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
