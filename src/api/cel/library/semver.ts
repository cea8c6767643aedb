// Semantic versions: semver('1.2.3').isLessThan(semver('2.0.0'))
// (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-semver-library; semver.org).
import { type Library, method, type Overload, overload } from '../../../lib/cel/env.ts'
import { traversal } from '../../../lib/cel/estimates.ts'
import { int64Max } from '../../../lib/cel/ints.ts'
import { bool, int, opaque, string } from '../../../lib/cel/types.ts'
import { Failure, Opaque, type Result, type Value } from '../../../lib/cel/values.ts'
import { compareText } from '../../../lib/sorted.ts'

const semverType = opaque('kubernetes.Semver')
const pattern =
  /^(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/

class SemverValue extends Opaque {
  override readonly typeName = 'kubernetes.Semver'
  readonly core: readonly bigint[]
  /** Identifiers of a version before the release; empty for the release. */
  readonly before: readonly string[]
  constructor(core: readonly bigint[], before: readonly string[]) {
    super()
    this.core = core
    this.before = before
  }
  override equals(other: Opaque): boolean {
    return other instanceof SemverValue && compare(this, other) === 0
  }
}

/** Lenient about what people write: a v in front, missing parts, zeros in front of numbers. */
function normalized(text: string): string {
  const [, core = '', rest = ''] = /^v?([0-9.]*)(.*)$/s.exec(text.trim()) ?? []
  const numbers = core.split('.').map(part => part.replace(/^0+(?=\d)/, ''))
  while (numbers.length < 3) numbers.push('0')
  return numbers.join('.') + rest
}

function parse(text: string): SemverValue | undefined {
  const match = text.length > 1_000 ? null : pattern.exec(text)
  if (match === null) return undefined
  const core = match.slice(1, 4).map(part => BigInt(part ?? '0'))
  const before = match[4] === undefined ? [] : match[4].split('.')
  if (core.some(part => part > int64Max) || before.some(part => /^0\d+$/.test(part))) return undefined
  return new SemverValue(core, before)
}

function compare(a: SemverValue, b: SemverValue): number {
  for (let i = 0; i < 3; i++) {
    const [x, y] = [a.core[i] ?? 0n, b.core[i] ?? 0n]
    if (x !== y) return x < y ? -1 : 1
  }
  if (a.before.length === 0 || b.before.length === 0) return Math.sign(b.before.length - a.before.length)
  for (let i = 0; i < Math.min(a.before.length, b.before.length); i++) {
    const difference = compareIdentifiers(a.before[i] ?? '', b.before[i] ?? '')
    if (difference !== 0) return difference
  }
  return Math.sign(a.before.length - b.before.length)
}

/** Numbers come before words, and by size among themselves. */
function compareIdentifiers(a: string, b: string): number {
  const [x, y] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (x && y) return BigInt(a) === BigInt(b) ? 0 : BigInt(a) < BigInt(b) ? -1 : 1
  return x === y ? Math.sign(compareText(a, b)) : x ? -1 : 1
}

const semver = (text: string): Result => parse(text) ?? new Failure(`invalid semver: ${JSON.stringify(text)}`)
const compared = (id: string, type: typeof bool | typeof int, read: (difference: number) => Result): Overload =>
  method(id, [semverType, semverType], type, (a: SemverValue, b: SemverValue) => read(compare(a, b)))
const part = (id: string, index: number): Overload =>
  method(id, [semverType], int, ({ core }: SemverValue) => Number(core[index] ?? 0n))

const parsing = { cost: (text: Value) => traversal(text) }

export const semverLibrary: Library = {
  semver: [
    overload('string_to_semver', [string], semverType, semver, parsing),
    overload(
      'string_bool_to_semver',
      [string, bool],
      semverType,
      (text: string, lenient: boolean) => semver(lenient ? normalized(text) : text),
      parsing,
    ),
  ],
  isSemver: [
    overload('is_semver_string', [string], bool, (text: string) => parse(text) !== undefined, parsing),
    overload(
      'is_semver_string_bool',
      [string, bool],
      bool,
      (text: string, lenient: boolean) => parse(lenient ? normalized(text) : text) !== undefined,
      parsing,
    ),
  ],
  isGreaterThan: [compared('semver_is_greater_than', bool, difference => difference > 0)],
  isLessThan: [compared('semver_is_less_than', bool, difference => difference < 0)],
  compareTo: [compared('semver_compare_to', int, difference => difference)],
  major: [part('semver_major', 0)],
  minor: [part('semver_minor', 1)],
  patch: [part('semver_patch', 2)],
}
