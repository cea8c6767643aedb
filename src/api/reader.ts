// Reads JSON and YAML and sees what JSON.parse hides: keys that stand twice in one object. The later value wins, as in
// encoding/json. Total: malformed text gives ReadError, never another exception. Called by api/parse.ts.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node as YamlNode } from 'yaml'
import { mayHoldLong, parseExact } from '../lib/json.ts'
import { hasBackslashInKey } from '../lib/json-byhand.ts'
import { exactInteger, stringEnd } from '../lib/json-text.ts'
import { Derivation, isKept, keep } from '../lib/kept.ts'
import type { Json, JsonObject } from './schema.ts'

/** The text is malformed; the message says where. */
export class ReadError extends Error {
  override readonly name = 'ReadError'
}

/** Of each repeated key: where it stands (spec.containers[0].image), by the path of the key read just before it. */
export type Duplicates = ReadonlyMap<string, readonly Repeated[]>
/** `line`: of a text in YAML, where the repeated key's value begins. */
export type Repeated = { readonly parent: string; readonly key: string; readonly line?: number }
export const noDuplicates: Duplicates = new Map()

/** The repeated keys of a text in YAML, as Go's reader of YAML tells of them; of a text in JSON, none. */
export function repeatedLines(duplicates: Duplicates): readonly string[] {
  return [...duplicates.values()]
    .flat()
    .flatMap(({ key, line }) => (line === undefined ? [] : [{ key, line }]))
    .toSorted((a, b) => a.line - b.line)
    .map(({ key, line }) => `line ${line}: key ${JSON.stringify(key)} already set in map`)
}

export const depthMax = 500

/** How a field below `parent` is called in messages. */
export function pathOf(parent: string, key: string): string {
  return parent === '' ? key : `${parent}.${key}`
}

/** More than that nobody reads; and a body may name one key a million times, at the end of a path as long as itself. */
const repeatedCountMax = 1_000
const pathLengthMax = 4_096

class Found {
  readonly byPath = new Map<string, Repeated[]>()
  #count = 0

  add(after: string, repeated: Repeated): void {
    if (this.#count >= repeatedCountMax || after.length > pathLengthMax) return
    this.#count++
    const list = this.byPath.get(after)
    if (list) list.push(repeated)
    else this.byPath.set(after, [repeated])
  }
}

export type Read = { readonly value: Json; readonly duplicates: Duplicates }

/** `asYaml`: the text is told of as the YAML that it is too. */
export function readJsonText(text: string, asYaml = false): Read {
  const scan = scanned(text)
  // JSON.parse says whether the text is sound; after it the scan below needs no error cases of its own.
  const value = withKeptSpec(text, scan)
  // Each key has a colon behind it. Where as many keys are left, none stood twice: so it is nearly always.
  if (keyCount(value) === scan.colons) return { value, duplicates: noDuplicates }
  const found = new Found()
  new Scanner(text, found, asYaml).value('', 0)
  return { value: parsed(text), duplicates: found.byPath }
}

export function parseJson(text: string): Json {
  scanned(text)
  return parsed(text)
}

/** The spec is what many objects have in common: of the same text it is the same value. */
function withKeptSpec(text: string, { specStart, specEnd }: Scan): Json {
  if (specEnd === 0) return parsed(text)
  // Of a value with a bigint in it parseExact makes a note, which one of its parts would not have.
  const spec = keep(text.slice(specStart, specEnd), part =>
    mayHoldLong(part) ? undefined : (parsed(part) as JsonObject),
  )
  if (spec === undefined) return parsed(text)
  const value = parsed(`${text.slice(0, specStart)}null${text.slice(specEnd)}`) as { spec: Json }
  value.spec = spec
  return value
}

/** Such texts are read by hand, which takes 0.1 ms a kilobyte. */
const byHandCharactersMax = 512 * 1024

function parsed(text: string): Json {
  if (text.length > byHandCharactersMax && hasBackslashInKey(text)) {
    throw new ReadError(`a text of more than ${byHandCharactersMax} characters may have no key with a backslash`)
  }
  try {
    return parseExact(text) as Json
  } catch (error) {
    throw new ReadError(error instanceof Error ? error.message : String(error))
  }
}

function keyCount(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (isList(value)) {
    for (const item of value) count += keyCount(item)
    return count
  }
  for (const key of Object.keys(value)) {
    const below = value[key] ?? null
    count += 1 + (isKept(below) ? keyCounts.of(below, undefined, () => keyCount(below)) : keyCount(below))
  }
  return count
}

const keyCounts = new Derivation<undefined, number>()

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

type Scan = {
  /** How many there are outside of texts. */
  readonly colons: number
  /** Where the object `spec` of the outermost one lies; the end is 0 where there is none. */
  readonly specStart: number
  readonly specEnd: number
}

const specKey = '"spec":'

/** What is nested deeper than anything that is read here is refused. */
function scanned(text: string): Scan {
  let depth = 0
  let colons = 0
  let specStart = 0
  let specEnd = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        if (depth === 1 && specStart === 0 && text.startsWith(specKey, at)) {
          const start = at + specKey.length + (text.charCodeAt(at + specKey.length) === 0x20 ? 1 : 0)
          if (text.charCodeAt(start) === 0x7b) specStart = start
        }
        at = stringEnd(text, at)
        break
      case 0x3a: // :
        colons++
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > depthMax) throw new ReadError('exceeded max depth')
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        if (depth === 1 && specStart !== 0 && specEnd === 0) specEnd = at + 1
    }
  }
  return { colons, specStart, specEnd }
}

/** Walks text that is known to be JSON and notes repeated keys. */
class Scanner {
  readonly #text: string
  readonly #found: Found
  readonly #withLines: boolean
  #at = 0
  #line = 1
  #lineCountedTo = 0

  constructor(text: string, found: Found, withLines: boolean) {
    this.#text = text
    this.#found = found
    this.#withLines = withLines
  }

  #lineHere(): number {
    for (; this.#lineCountedTo < this.#at; this.#lineCountedTo++) {
      if (this.#text.charCodeAt(this.#lineCountedTo) === 0x0a) this.#line++
    }
    return this.#line
  }

  #peek(): string {
    for (;;) {
      const character = this.#text.charAt(this.#at)
      if (character !== ' ' && character !== '\n' && character !== '\t' && character !== '\r') return character
      this.#at++
    }
  }

  #string(): string {
    const start = this.#at
    this.#at = stringEnd(this.#text, start) + 1
    const inner = this.#text.slice(start + 1, this.#at - 1)
    return inner.includes('\\') ? (JSON.parse(this.#text.slice(start, this.#at)) as string) : inner
  }

  value(path: string, depth: number): void {
    if (depth > depthMax) throw new ReadError('exceeded max depth')
    const character = this.#peek()
    if (character === '{') this.#object(path, depth)
    else if (character === '[') this.#list(path, depth)
    else if (character === '"') this.#string()
    else while (!',]}'.includes(this.#text.charAt(this.#at) || ',')) this.#at++
  }

  #object(path: string, depth: number): void {
    this.#at++
    const seen = new Set<string>()
    let previous = ''
    while (this.#peek() !== '}') {
      if (this.#peek() === ',') this.#at++
      this.#peek()
      const key = this.#string()
      this.#peek()
      this.#at++
      if (seen.has(key)) {
        this.#peek()
        const line = this.#withLines ? { line: this.#lineHere() } : {}
        this.#found.add(pathOf(path, previous), { parent: path, key, ...line })
      } else previous = key
      seen.add(key)
      this.value(pathOf(path, key), depth + 1)
    }
    this.#at++
  }

  #list(path: string, depth: number): void {
    this.#at++
    let index = 0
    while (this.#peek() !== ']') {
      if (this.#peek() === ',') this.#at++
      this.value(`${path}[${index++}]`, depth + 1)
      this.#peek()
    }
    this.#at++
  }
}

/** An error per character is what a parser may make of its input; looking at the stack is most of what each costs. */
function withoutStacks<T>(run: () => T): T {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return run()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** One YAML document, read as YAML 1.1 (yes and on are booleans), as kubectl and the API server do. */
export function readYamlText(text: string): Read {
  const lines = new LineCounter()
  const isLong = mayHoldLong(text)
  // Pretty errors show their line, each of them: of a text of one line with a fault at each character that is quadratic.
  const document = withoutStacks(() =>
    parseDocument(text, {
      version: '1.1',
      uniqueKeys: false,
      lineCounter: lines,
      merge: true,
      prettyErrors: false,
      intAsBigInt: isLong,
    }),
  )
  const fault = document.errors[0]
  if (fault) {
    const { line } = lines.linePos(fault.pos[0])
    throw new ReadError(`error converting YAML to JSON: yaml: line ${line}: ${fault.message}`)
  }
  const found = new Found()
  noteRepeated(document.contents, '', { found, lines }, 0)
  try {
    const value = (document.toJS({ maxAliasCount: 100 }) ?? null) as Json
    return { value: isLong ? shortened(value) : value, duplicates: found.byPath }
  } catch (error) {
    throw new ReadError(
      `error converting YAML to JSON: yaml: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

type Noted = { readonly found: Found; readonly lines: LineCounter }

/** With numbers in the place of the bigints that need not be. */
function shortened(value: Json): Json {
  if (typeof value === 'bigint') return exactInteger(value)
  if (isList(value)) return value.map(shortened)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shortened(item)]))
}

function noteRepeated(node: YamlNode | null, path: string, noted: Noted, depth: number): void {
  if (depth > depthMax) throw new ReadError('exceeded max depth')
  if (node === null || isAlias(node) || isScalar(node)) return
  if (isMap(node)) {
    const seen = new Set<string>()
    let previous = ''
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : String(key)
      if (seen.has(name)) {
        const start = (value as YamlNode | null)?.range?.[0] ?? (key as YamlNode).range?.[0] ?? 0
        const { line } = noted.lines.linePos(start)
        noted.found.add(pathOf(path, previous), { parent: path, key: name, line })
      } else previous = name
      seen.add(name)
      noteRepeated(value as YamlNode | null, pathOf(path, name), noted, depth + 1)
    }
  } else if (isSeq(node)) {
    for (const [i, item] of node.items.entries()) noteRepeated(item as YamlNode, `${path}[${i}]`, noted, depth + 1)
  }
}
