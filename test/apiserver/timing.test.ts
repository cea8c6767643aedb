// A10: nobody learns a secret from how long a comparison takes.
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isSame } from '../../src/apiserver/run-bootstraptoken.ts'
import { sameBytes } from '../../src/node/token.ts'
import { measure, welch } from './timing.ts'

const src = join(import.meta.dirname, '..', '..', 'src')
const secretWords =
  '\\w*(?:[sS]ecret|[tT]oken|[pP]roof|[sS]ignature|[hH]mac|[pP]assword|[bB]earer|[dD]igest|[cC]redential|storedKey|serverKey|clientKey)\\w*'
const value = `[\\w.?]*\\b${secretWords}(?:\\([^)]*\\))?`
const plain = "(?!\\s*(?:undefined|null|true|false|-?\\d|'|\\w+Max\\b))"
const comparisons = [
  new RegExp(`${value}\\s*[=!]==?(?!=)${plain}`),
  new RegExp(`[=!]==?\\s*${plain}${value}(?!\\.(?:length|kind|type))\\b`),
  new RegExp(`${value}\\.(?:equals|startsWith|endsWith|localeCompare)\\((?!')`),
  new RegExp(`(?:equals|compare|compareText|equalBytes|equalJson)\\([^)]*\\b${secretWords}\\b`),
]
/** Comparisons with such a word in them and no secret: file, and what stands there. */
const noSecret: readonly (readonly [string, string])[] = [
  ['apiserver/admission/serviceaccount.ts', 'mountPath === tokenPath'],
  ['lib/selector.ts', 'this.next !== token'],
  ['apiserver/run-bootstraptoken.ts', 'secret.type !== bootstrapTokenType'],
  ['node/run-admission.ts', 'secret.type !== tokenType'],
  ['node/run-admission.ts', 'secret.type === tokenType'],
  // The name of a token, and the hash of a certificate that everybody sees.
  ['node/run-join.ts', 'given.tokenId !== asked.tokenId'],
  ['node/run-join.ts', 'certificateHash(read.caPem) !== token.caHash'],
]

describe('secrets (A10)', () => {
  test('timingSafeEqual: no secret is compared in any other way', () => {
    const found: string[] = []
    let fileCount = 0
    for (const name of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.startsWith(join('wire', 'gen'))) continue
      fileCount += 1
      for (const line of readFileSync(join(src, name), 'utf8').split('\n')) {
        if (/^\s*(\/\/|\*|\/\*)/.test(line) || !comparisons.some(each => each.test(line))) continue
        if (noSecret.some(([file, text]) => file === name && line.includes(text))) continue
        found.push(`${name}: ${line.trim()}`)
      }
    }
    expect(fileCount).toBeGreaterThan(300)
    expect(found).toEqual([])
  })

  test.each([
    'if (given.secret === wanted) return true',
    'return isKnown && token !== expected',
    'return storedKey == sha256(clientKey)',
    'return signature.equals(expected)',
    'return Buffer.compare(proof, expected) === 0',
  ])('the code check sees: %s', line => expect(comparisons.some(each => each.test(line))).toBe(true))

  type Pair<T> = readonly [T, T]
  /** Two of 32 characters that differ in the first place, or in the last. */
  function pairs<T>(of: (text: Buffer) => T): (kind: 0 | 1) => Pair<T> {
    const secret = Buffer.from(randomBytes(16).toString('hex'))
    const other = Buffer.from(secret)
    const [first = 0, last = 0] = [secret[0], secret[31]]
    return kind => {
      other[0] = first ^ (1 - kind)
      other[31] = last ^ kind
      return [of(secret), of(other)]
    }
  }
  // A text is new each time, as one that comes from outside; bytes are the same memory each time.
  const text = (buffer: Buffer) => buffer.toString('latin1')
  const bytes = (buffer: Buffer): Uint8Array => buffer
  const samples = 1_000_000
  /** Of the most that chance alone gives, and how often it is asked again before it counts. A leak shows each time. */
  const tMax = 4.5
  const tries = 4
  function least<T>(of: (text: Buffer) => T, act: (pair: Pair<T>) => unknown): number {
    let t = Number.POSITIVE_INFINITY
    for (let i = 0; i < tries && t >= tMax; i++) t = Math.min(t, welch(measure(pairs(of), samples, act), 0.8))
    return t
  }

  test('isSame: the time to compare a bootstrap token does not tell where it differs', { timeout: 600_000 }, () => {
    expect(least(text, ([a, b]) => isSame(a, b))).toBeLessThan(tMax)
  })

  test('sameBytes: nor does that of a proof of a join token', { timeout: 600_000 }, () => {
    expect(least(bytes, ([a, b]) => sameBytes(a, b))).toBeLessThan(tMax)
  })

  test('a comparison that ends where it knows is caught', { timeout: 600_000 }, () => {
    const naive = (a: Uint8Array, b: Uint8Array) => {
      for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
      return true
    }
    expect(least(bytes, ([a, b]) => naive(a, b))).toBeGreaterThan(tMax * 2)
  })
})
