// Regular expressions of RE2: what they match, which match is found, what is refused, and that none takes long.
import { expect, test } from 'vitest'
import { type Regex, regexFor } from '../../../src/lib/cel/regex.ts'
import { Failure } from '../../../src/lib/cel/values.ts'
import { prng } from '../../../src/lib/prng.ts'

function regex(pattern: string): Regex {
  const made = regexFor(pattern)
  if (made instanceof Failure) throw new Error(made.message)
  return made
}

function findAll(pattern: string, text: string, countMax = Number.POSITIVE_INFINITY): readonly string[] {
  const found = regex(pattern).findAll(text, countMax)
  if (found instanceof Failure) throw new Error(found.message)
  return found.map(({ start, end }) => text.slice(start, end))
}

const matching: readonly (readonly [string, string, boolean])[] = [
  ['^a+$', 'aaa', true],
  ['^a+$', 'aab', false],
  ['b', 'abc', true],
  ['', '', true],
  ['^$', '', true],
  ['a|bc|', 'x', true],
  ['^(?:a|bc)$', 'bc', true],
  ['^a{2,3}$', 'aaaa', false],
  ['^a{2,3}$', 'aaa', true],
  ['^a{2,}$', 'aaaaa', true],
  ['^a{,2}$', 'a{,2}', true],
  ['^[a-c_-]+$', 'ab_-', true],
  ['^[]a]+$', 'a]', true],
  ['^[^a-z]$', 'A', true],
  ['^[\\d\\-.]+$', '1-2.3', true],
  ['^[[:alpha:]]+$', 'abC', true],
  ['^[[:^digit:]]+$', 'abc', true],
  ['^\\w+\\s\\W$', 'a_1 !', true],
  ['^\\pL+$', 'éß', true],
  ['^\\p{Greek}+$', 'αβγ', true],
  ['^\\P{Greek}+$', 'αβγ', false],
  ['^\\p{^Lu}$', 'a', true],
  ['\\bfoo\\b', 'a foo b', true],
  ['\\bfoo\\b', 'afoob', false],
  ['(?i)^straße k$', 'STRAßE K', true],
  ['(?i)k', '\u212a', true],
  ['(?m)^b$', 'a\nb\nc', true],
  ['^b$', 'a\nb\nc', false],
  ['a.c', 'a\nc', false],
  ['(?s)a.c', 'a\nc', true],
  ['(?s-i:a.)C', 'a\nC', true],
  ['^.$', '🐱', true],
  ['^\\x{1F431}$', '🐱', true],
  ['^\\x41\\101\\n$', 'AA\n', true],
  ['^\\Qa.b\\E$', 'a.b', true],
  ['^\\Qa.b\\E$', 'axb', false],
  ['\\Aab\\z', 'ab', true],
  ['^(?P<name>a)(?<other>b)$', 'ab', true],
  ['^(a*)*$', 'aaaa', true],
  ['^(?:a?){3}a{3}$', 'aaa', true],
]

test.each(matching)('%s on %j: %s', (pattern, text, expected) => {
  expect(regex(pattern).matches(text)).toBe(expected)
})

test('the leftmost match is found, and of those the one that the pattern prefers', () => {
  expect(findAll('a|ab', 'abab')).toEqual(['a', 'a'])
  expect(findAll('ab|a', 'abab')).toEqual(['ab', 'ab'])
  expect(findAll('a+?', 'aaa')).toEqual(['a', 'a', 'a'])
  expect(findAll('(?U)a+', 'aaa')).toEqual(['a', 'a', 'a'])
  expect(findAll('[0-9]+', 'abc 123 def 456')).toEqual(['123', '456'])
  expect(findAll('[0-9]+', '1 2 3', 2)).toEqual(['1', '2'])
  expect(findAll('a*', 'baac')).toEqual(['', 'aa', ''])
  expect(findAll('^a', 'aaa')).toEqual(['a'])
  expect(findAll('', '🐱b')).toEqual(['', '', ''])
})

const refused: readonly (readonly [string, string])[] = [
  ['(', 'missing closing ): `(`'],
  ['a)', 'unexpected ): `a)`'],
  ['[a', 'missing closing ]: `[a`'],
  ['*a', 'missing argument to repetition operator: `*`'],
  ['a**', 'invalid nested repetition operator: `**`'],
  ['a{1001}', 'invalid repeat count: `{1001}`'],
  ['a{3,2}', 'invalid repeat count: `{3,2}`'],
  ['(?=a)', 'invalid or unsupported Perl syntax: `(?=`'],
  ['(?!a)', 'invalid or unsupported Perl syntax: `(?!`'],
  ['\\1', 'invalid escape sequence: `\\1`'],
  ['[[:constructor:]]', 'invalid character class range: `[:constructor:]`'],
  ['\\🐱', 'invalid escape sequence: `\\🐱`'],
  ['\\y', 'invalid escape sequence: `\\y`'],
  ['\\', 'trailing backslash at end of expression: ``'],
  ['[z-a]', 'invalid character class range: `z-a`'],
  ['\\p{Nope}', 'invalid character class range: `\\p{Nope}`'],
  ['((((a{100}){100}){100}){100})', 'expression too large'],
]

test.each(refused)('%s is refused', (pattern, message) => {
  expect(regexFor(pattern)).toEqual(new Failure(`error parsing regexp: ${message}`))
})

test('deep nesting is refused', () => {
  expect(regexFor(`${'('.repeat(100_000)}a`)).toBeInstanceOf(Failure)
})

test('what makes others backtrack for ever is answered; what is too much work is given up', () => {
  const text = 'a'.repeat(20_000)
  expect(regex('^(a+)+$').matches(`${text}b`)).toBe(false)
  expect(regex('^(a|aa)+$').matches(`${text}b`)).toBe(false)
  expect(regex('(.*)(.*)(.*)(.*)(.*)[^a]').matches(text)).toBe(false)
  expect(regex('(a|b)*a(a|b){12}c').matches('abbabaabaaaabbb'.repeat(1_000))).toBe(false)
  expect(regex('a.*b|a').findAll('a'.repeat(50_000), 50_000)).toBeInstanceOf(Failure)
})

test('agrees with the platform on random patterns that both know', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = prng(seed)
    const pick = <T>(choices: readonly [T, ...T[]]): T => choices[random.below(choices.length)] ?? choices[0]
    const piece = (depth: number): string => {
      const atom =
        depth > 0 && random.chance(0.4)
          ? `(?:${pattern(depth - 1)})`
          : pick(['a', 'b', '.', '[ab]', '[^a]', '\\b', '^', '$'])
      return atom + (/^[\\^$]/.test(atom) ? '' : pick(['', '', '*', '+?', '?', '{1,2}']))
    }
    const pattern = (depth: number): string => {
      const sequence = () => Array.from({ length: 1 + random.below(3) }, () => piece(depth)).join('')
      return random.chance(0.3) ? `${sequence()}|${sequence()}` : sequence()
    }
    const source = pattern(2)
    const text = Array.from({ length: random.below(8) }, () => pick(['a', 'b', 'c', ' '])).join('')
    const expected = new RegExp(source).exec(text)
    const found = regex(source).find(text)
    const seen = found === undefined || found instanceof Failure ? null : text.slice(found.start, found.end)
    expect({ source, text, matches: regex(source).matches(text) }).toEqual({ source, text, matches: expected !== null })
    expect({ seed, source, text, found: seen }).toEqual({ seed, source, text, found: expected?.[0] ?? null })
  }
})
