// The parser against its twin: what a tree prints as is read as that tree. And against noise: any text gives a program or
// issues, and any program ends.
import { expect, test } from 'vitest'
import { type Expr, type ExprKind, expr, operators } from '../../../src/lib/cel/ast.ts'
import { compile, environment } from '../../../src/lib/cel/cel.ts'
import { parse } from '../../../src/lib/cel/parser.ts'
import { Double, Uint, type Value } from '../../../src/lib/cel/values.ts'
import { type Prng, prng } from '../../../src/lib/prng.ts'
import { print } from './print.ts'
import { types, values } from './run.ts'

const macros = { optional: true, twoVariables: true }

/** A tree without the places of its parts, and without their depths. */
function shape(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(shape)
  if (tree instanceof Uint || tree instanceof Double) return { [tree.constructor.name]: tree.value }
  if (tree === null || typeof tree !== 'object' || tree instanceof Uint8Array) return tree
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([key]) => key !== 'offset' && key !== 'depth')
      .map(([key, value]) => [key, shape(value)]),
  )
}

const pick = <T>(random: Prng, choices: readonly [T, ...T[]]): T => choices[random.below(choices.length)] ?? choices[0]

function anyLiteral(random: Prng): Value {
  return pick<Value>(random, [
    null,
    true,
    0,
    -7,
    9007199254740993n,
    -9223372036854775808n,
    new Uint(18446744073709551615n),
    new Double(1.5),
    new Double(1e300),
    '',
    'a"b\\c\n',
    'é🐱',
    Uint8Array.of(0, 255),
  ])
}

function anyTree(random: Prng, depth: number): Expr {
  const sub = () => anyTree(random, depth - 1)
  const call = (name: string, ...args: Expr[]): ExprKind => ({ kind: 'call', name, target: undefined, args })
  const leaf = (): ExprKind =>
    random.chance(0.5)
      ? { kind: 'literal', value: anyLiteral(random) }
      : { kind: 'ident', name: pick(random, ['x', 'items', '.y', '_z9']) }
  const branches: readonly [() => ExprKind, ...(() => ExprKind)[]] = [
    leaf,
    () =>
      call(
        pick(random, [operators.add, operators.subtract, operators.modulo, operators.less, operators.in]),
        sub(),
        sub(),
      ),
    () => call(pick(random, [operators.or, operators.and]), sub(), sub()),
    () => call(operators.not, expr(0, { kind: 'ident', name: 'x' })),
    () => call(operators.negate, expr(0, { kind: 'ident', name: 'x' })),
    () => call(operators.conditional, sub(), sub(), sub()),
    () => call(pick(random, [operators.index, operators.optionalIndex]), sub(), sub()),
    () => call(operators.optionalSelect, sub(), expr(0, { kind: 'literal', value: 'field' })),
    () => call('size', sub()),
    () => ({ kind: 'call', name: 'startsWith', target: sub(), args: [sub(), sub()] }),
    () => ({ kind: 'select', operand: sub(), field: pick(random, ['a', 'namespace', 'for']), test: false }),
    () => ({
      kind: 'list',
      elements: [
        { optional: random.chance(0.3), value: sub() },
        { optional: false, value: sub() },
      ],
    }),
    () => ({ kind: 'map', entries: [{ optional: random.chance(0.3), key: sub(), value: sub() }] }),
    () => ({ kind: 'object', name: 'a.B', fields: [{ optional: false, field: 'c', offset: 0, value: sub() }] }),
  ]
  return expr(0, depth === 0 ? leaf() : pick(random, branches)())
}

test('what is printed is read as the same tree', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const tree = anyTree(prng(seed), 4)
    const source = print(tree)
    const parsed = parse(source, macros)
    expect({ seed, source, tree: parsed.kind === 'parsed' ? shape(parsed.expr) : parsed.issues }).toEqual({
      seed,
      source,
      tree: shape(tree),
    })
  }
})

const words: readonly [string, ...string[]] = [
  ...[
    'x',
    's',
    'd',
    'items',
    'labels',
    'optional',
    'has',
    'size',
    'true',
    'null',
    'in',
    'for',
    '1',
    '2u',
    '1.5',
    "'a'",
    "b'x'",
  ],
  ...[
    '.',
    '.?',
    '(',
    ')',
    '[',
    '[?',
    ']',
    '{',
    '}',
    ',',
    ':',
    '?',
    '+',
    '-',
    '*',
    '/',
    '%',
    '==',
    '<',
    '&&',
    '||',
    '!',
  ],
  ...[
    '.all(e, ',
    '.map(e, ',
    '.exists(i, v, ',
    'e',
    ' ',
    '\n',
    "'",
    '"',
    '\\',
    '//',
    '@',
    '\u0000',
    '🐱',
    '0x',
    '9'.repeat(30),
  ],
] as [string, ...string[]]

test('any text gives a program or issues, and every program ends', () => {
  const env = environment(types)
  for (let seed = 1; seed <= 3_000; seed++) {
    const random = prng(seed)
    const source = Array.from({ length: random.below(14) }, () => pick(random, words)).join('')
    const compiled = compile(source, env)
    if (compiled.kind === 'refused') expect(compiled.issues.length, source).toBeGreaterThan(0)
    else expect(compiled.program.evaluate(values, { costLimit: 10_000 }).cost, source).toBeLessThan(20_000)
  }
})

test('any program with pieces taken out or put in ends, too', () => {
  const env = environment(types)
  const seeds = [
    "items.all(i, i > 0) && labels.exists(k, v, k == 'app' && v.startsWith('w'))",
    "optional.of({'a': [1, 2]}).?a[?0].optMap(e, e + x).orValue(1) in items.map(i, i > 1, i * 2)",
    "s.matches('^[a-z]+(-[a-z]+)*$') ? timestamp('2020-01-01T00:00:00Z') + duration('1h') > timestamp(0) : has(d.x)",
  ]
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = prng(seed)
    let source = seeds[seed % seeds.length] ?? ''
    for (let change = 0; change < 1 + random.below(3); change++) {
      const at = random.below(source.length + 1)
      source =
        source.slice(0, at) + (random.chance(0.5) ? pick(random, words) : '') + source.slice(at + random.below(4))
    }
    const compiled = compile(source, env)
    if (compiled.kind === 'ok') compiled.program.evaluate(values, { costLimit: 10_000 })
    else expect(compiled.message).toContain('ERROR: <input>:')
  }
})
