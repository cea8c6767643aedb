// Validation rules of custom resources against their schemas: rules that public definitions carry, what upstream's
// documentation promises of types, names, null and lists, and which rules are too dear.
import { describe, expect, test } from 'vitest'
import { declare } from '../../../src/api/cel/declare.ts'
import { escapeName, unescapeName } from '../../../src/api/cel/escape.ts'
import { estimatedRuleCostMax, overBudget } from '../../../src/api/cel/limits.ts'
import { compileMessage, compileRule, messageOf, type Rule } from '../../../src/api/cel/rules.ts'
import type { Json } from '../../../src/api/schema.ts'
import type { JsonSchemaProps, ValidationRule } from '../../../src/api/types/jsonschema.ts'

function compiled(schema: JsonSchemaProps, rule: string | ValidationRule, root = false): Rule | string {
  const declaration = declare(schema, root)
  if (declaration === undefined) return 'no type'
  const result = compileRule(declaration, root, typeof rule === 'string' ? { rule } : rule)
  return result.kind === 'ok' ? result.rule : result.detail
}

function outcome(schema: JsonSchemaProps, rule: string | ValidationRule, self: Json, oldSelf?: Json): string {
  const made = compiled(schema, rule)
  if (typeof made === 'string') return made
  const evaluated = made.evaluate(self, oldSelf)
  return evaluated.kind === 'failed' ? evaluated.detail : evaluated.kind
}

const text: JsonSchemaProps = { type: 'string' }
const integer: JsonSchemaProps = { type: 'integer' }
const object = (
  properties: Readonly<Record<string, JsonSchemaProps>>,
  more: JsonSchemaProps = {},
): JsonSchemaProps => ({
  type: 'object',
  properties,
  ...more,
})
const list = (items: JsonSchemaProps, more: JsonSchemaProps = {}): JsonSchemaProps => ({
  type: 'array',
  items,
  ...more,
})

const match = object({ type: text, value: text })
const filter = object({
  type: text,
  requestHeaderModifier: object({ set: list(text) }),
  urlRewrite: object({ hostname: text }),
})

/** Schema, rule, objects that obey it, objects that violate it. */
const publicRules: readonly (readonly [string, JsonSchemaProps, string, readonly Json[], readonly Json[]])[] = [
  [
    'replicas within bounds',
    object({ minReplicas: integer, replicas: integer, maxReplicas: integer }),
    'self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas',
    [{ minReplicas: 1, replicas: 2, maxReplicas: 3 }],
    [{ minReplicas: 3, replicas: 2, maxReplicas: 3 }],
  ],
  [
    'Gateway API: a filter has what its type says',
    filter,
    "!(has(self.requestHeaderModifier) && self.type != 'RequestHeaderModifier')",
    [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [] } }, { type: 'URLRewrite' }],
    [{ type: 'URLRewrite', requestHeaderModifier: {} }],
  ],
  [
    'Gateway API: at most one filter of a type',
    list(filter),
    "self.filter(f, f.type == 'RequestHeaderModifier').size() <= 1",
    [[], [{ type: 'RequestHeaderModifier' }, { type: 'URLRewrite' }]],
    [[{ type: 'RequestHeaderModifier' }, { type: 'RequestHeaderModifier' }]],
  ],
  [
    'Gateway API: listeners have different ports, protocols and hostnames',
    list(object({ name: text, port: integer, protocol: text, hostname: text })),
    'self.all(l1, self.exists_one(l2, l1.port == l2.port && l1.protocol == l2.protocol && (has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))))',
    [
      [
        { name: 'a', port: 80, protocol: 'HTTP' },
        { name: 'b', port: 80, protocol: 'HTTP', hostname: 'x' },
      ],
    ],
    [
      [
        { name: 'a', port: 80, protocol: 'HTTP' },
        { name: 'b', port: 80, protocol: 'HTTP' },
      ],
    ],
  ],
  [
    'Gateway API: TLS is for protocols that have it',
    list(object({ protocol: text, tls: object({ mode: text }) })),
    "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
    [[{ protocol: 'HTTPS', tls: {} }, { protocol: 'HTTP' }]],
    [[{ protocol: 'HTTP', tls: { mode: 'Terminate' } }]],
  ],
  [
    'Gateway API: a path begins with /, and has no //',
    match,
    "(self.type in ['Exact', 'PathPrefix']) ? (self.value.startsWith('/') && !self.value.contains('//')) : true",
    [
      { type: 'Exact', value: '/a' },
      { type: 'RegularExpression', value: 'a//' },
    ],
    [
      { type: 'Exact', value: 'a' },
      { type: 'PathPrefix', value: '/a//b' },
    ],
  ],
  [
    'Gateway API: a path of valid characters',
    match,
    '(self.type in [\'Exact\', \'PathPrefix\']) ? self.value.matches(r"""^(?:[-A-Za-z0-9/._~!$&\'()*+,;=:@]|[%][0-9a-fA-F]{2})+$""") : true',
    [{ type: 'Exact', value: '/a%20b' }],
    [{ type: 'Exact', value: '/a b' }],
  ],
  [
    'cert-manager and others: exactly one of',
    object({ a: text, b: text, c: text }),
    '[has(self.a), has(self.b), has(self.c)].filter(x, x == true).size() == 1',
    [{ a: 'x' }],
    [{}, { a: 'x', b: 'y' }],
  ],
  [
    'a duration between bounds',
    object({ timeout: text }),
    "duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('1h')",
    [{ timeout: '30s' }],
    [{ timeout: '2h' }],
  ],
  [
    'a quantity is not more than its limit',
    object({ request: { 'x-kubernetes-int-or-string': true }, limit: { 'x-kubernetes-int-or-string': true } }),
    'quantity(string(self.request)).compareTo(quantity(string(self.limit))) <= 0',
    [{ request: '500m', limit: 1 }],
    [{ request: '2Gi', limit: '1Gi' }],
  ],
  [
    'CIDRs of one family',
    list(text),
    'self.all(c, isCIDR(c)) && self.all(c, cidr(c).ip().family() == cidr(self[0]).ip().family())',
    [['10.0.0.0/8', '192.168.0.0/16']],
    [['10.0.0.0/8', 'fd00::/8']],
  ],
  [
    'keys of labels are names',
    { type: 'object', additionalProperties: text },
    'self.all(key, !format.qualifiedName().validate(key).hasValue()) && size(self) <= 2',
    [{ 'a.b/c': 'x' }, {}],
    [{ '-a': 'x' }],
  ],
]

test.each(publicRules)('%s', (_name, schema, rule, good, bad) => {
  for (const self of good) expect({ self, outcome: outcome(schema, rule, self) }).toEqual({ self, outcome: 'held' })
  for (const self of bad) expect({ self, outcome: outcome(schema, rule, self) }).toEqual({ self, outcome: 'violated' })
})

describe('types', () => {
  test.each<readonly [JsonSchemaProps, Json, string]>([
    [integer, 5, 'self + 1 == 6 && type(self) == int'],
    [{ type: 'number' }, 5, 'self == 5.0 && type(self) == double'],
    [{ type: 'boolean' }, true, 'self'],
    [text, 'a', "self == 'a'"],
    [{ type: 'string', format: 'byte' }, 'aGk=', "self == b'hi'"],
    [{ type: 'string', format: 'date' }, '2024-02-29', 'self.getDayOfMonth() == 28'],
    [{ type: 'string', format: 'date-time' }, '2024-02-29T01:02:03Z', 'self.getHours() == 1'],
    [{ type: 'string', format: 'duration' }, '90s', 'self.getMinutes() == 1'],
    [{ 'x-kubernetes-int-or-string': true }, '50%', "type(self) == string ? self.endsWith('%') : self > 0"],
    [{ 'x-kubernetes-int-or-string': true }, 50, "type(self) == string ? self.endsWith('%') : self > 0"],
    [list(list(integer)), [[1], [2, 3]], 'self[1][1] == 3 && self.map(l, l.size()) == [1, 2]'],
    [
      { type: 'object', additionalProperties: list(text) },
      { a: ['b'] },
      "self.a[0] == 'b' && self['a'] == ['b'] && 'a' in self",
    ],
    [
      object({ a: object({ b: integer }) }),
      { a: { b: 1 } },
      'has(self.a.b) && self.a.b == 1 && self.?a.?c.hasValue() == false || true',
    ],
    [object({ a: integer }, { 'x-kubernetes-preserve-unknown-fields': true }), { a: 1, z: 2 }, 'self.a == 1'],
    [object({ a: { type: 'integer', nullable: true } }), { a: null }, '!has(self.a)'],
    [{ type: 'array', items: { type: 'string', nullable: true } }, ['a', null], 'dyn(self[1]) == null'],
    [
      object({ e: object({}, { 'x-kubernetes-embedded-resource': true }) }),
      { e: { kind: 'K', metadata: { name: 'n' } } },
      "self.e.kind == 'K' && self.e.metadata.name == 'n'",
    ],
  ])('%j holds %j: %s', (schema, self, rule) => {
    const result = outcome(schema, rule, self)
    expect(rule.includes('?c') ? result.includes("undefined field 'c'") : result === 'held').toBe(true)
  })

  test('what is only preserved has no type, and cannot be named', () => {
    const schema = object({ known: integer, open: { 'x-kubernetes-preserve-unknown-fields': true }, opened: list({}) })
    expect(outcome(schema, 'self.open == 1', {})).toBe(
      "compilation failed: ERROR: <input>:1:5: undefined field 'open'\n | self.open == 1\n | ....^",
    )
    expect(outcome(schema, 'has(self.opened)', {})).toContain("undefined field 'opened'")
    expect(compiled({ 'x-kubernetes-preserve-unknown-fields': true }, 'true')).toBe('no type')
  })

  test('a root knows its kind and name, whatever its schema says', () => {
    const rule = compiled(
      object({}),
      "self.kind == 'K' && self.apiVersion == 'g/v1' && self.metadata.name == 'n'",
      true,
    )
    if (typeof rule === 'string') throw new Error(rule)
    expect(rule.evaluate({ kind: 'K', apiVersion: 'g/v1', metadata: { name: 'n' } }, undefined).kind).toBe('held')
    expect(compiled(object({ metadata: { type: 'object' } }), 'has(self.metadata.labels)', true)).toContain(
      'undefined field',
    )
  })

  test('a value that is not what its schema says is an error of the rule that reads it', () => {
    expect(outcome(object({ a: integer }), 'self.a > 1', { a: 'x' })).toBe(
      'invalid data, expected int, got string evaluating rule: self.a > 1',
    )
    expect(outcome(object({ a: text }), "self.a == ''", { a: 1 })).toContain('expected string, got number')
    expect(outcome(list(integer), 'self[0] > 1', [null])).toContain(
      'invalid data, got null for schema with nullable=false',
    )
  })
})

test('names that expressions cannot write are escaped, and keywords may stand after a dot', () => {
  const names = [
    'foo.bar',
    'foo-bar',
    'foo/bar',
    'a__b',
    'namespace',
    'x_y',
    '_x',
    '$ref',
    '1a',
    'é',
    'in',
    '__proto__',
  ]
  expect(names.map(escapeName)).toEqual([
    'foo__dot__bar',
    'foo__dash__bar',
    'foo__slash__bar',
    'a__underscores__b',
    '__namespace__',
    'x_y',
    '_x',
    undefined,
    undefined,
    undefined,
    '__in__',
    '__underscores__proto__underscores__',
  ])
  for (const name of names) expect(unescapeName(escapeName(name) ?? name)).toBe(name)
  const schema = object({ 'foo-bar': integer, namespace: text, $x: text })
  expect(
    outcome(schema, "self.foo__dash__bar == 1 && self.namespace == 'a' && self.__namespace__ == 'a'", {
      'foo-bar': 1,
      namespace: 'a',
    }),
  ).toBe('held')
  expect(outcome(schema, 'self.foo-bar == 1', {})).toContain("undefined field 'foo'")
})

describe('changes', () => {
  const immutable = { rule: 'self == oldSelf', message: 'is immutable' }

  test('a rule that reads oldSelf is a transition rule', () => {
    expect(compiled(text, 'self == oldSelf')).toMatchObject({ transition: true })
    expect(compiled(text, "self == 'oldSelf'")).toMatchObject({ transition: false })
    expect(outcome(text, immutable, 'a', 'a')).toBe('held')
    expect(outcome(text, immutable, 'b', 'a')).toBe('violated')
    expect(messageOf(immutable)).toBe('is immutable')
    expect(messageOf({ rule: ' self > 0 ' })).toBe('failed rule: self > 0')
  })

  test('oldSelf is optional where the rule says so', () => {
    const rule = { rule: '!oldSelf.hasValue() || oldSelf.value() == self', optionalOldSelf: true }
    expect(outcome(text, rule, 'b')).toBe('held')
    expect(outcome(text, rule, 'b', 'a')).toBe('violated')
    expect(outcome(text, { ...rule, optionalOldSelf: false }, 'b', 'a')).toContain(
      "found no matching overload for 'hasValue'",
    )
  })

  test('whole objects are compared, with what the schema does not know', () => {
    const schema = object(
      { a: integer, n: { type: 'integer', nullable: true } },
      { 'x-kubernetes-preserve-unknown-fields': true },
    )
    expect(outcome(schema, immutable, { a: 1, z: [1], n: null }, { n: null, z: [1], a: 1 })).toBe('held')
    expect(outcome(schema, immutable, { a: 1, z: [1] }, { a: 1, z: [2] })).toBe('violated')
    expect(outcome(schema, immutable, { a: 1 }, { a: 1, z: 2 })).toBe('violated')
  })

  test('sets and maps are equal in any order, and their sums are merges', () => {
    const set = list(text, { 'x-kubernetes-list-type': 'set' })
    const map = list(object({ name: text, value: integer }), {
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    })
    expect(outcome(set, immutable, ['a', 'b'], ['b', 'a'])).toBe('held')
    expect(outcome(set, immutable, ['a', 'b'], ['b', 'c'])).toBe('violated')
    expect(outcome(list(text), immutable, ['a', 'b'], ['b', 'a'])).toBe('violated')
    expect(outcome(set, '(self + oldSelf).size() == 3', ['a', 'b'], ['b', 'c'])).toBe('held')
    const [one, two] = [
      { name: 'x', value: 1 },
      { name: 'y', value: 2 },
    ]
    expect(outcome(map, immutable, [one, two], [two, one])).toBe('held')
    expect(outcome(map, immutable, [one, two], [two, { ...one, value: 3 }])).toBe('violated')
    expect(
      outcome(map, 'self + oldSelf == oldSelf && (oldSelf + self).size() == 2', [one], [{ ...one, value: 9 }, two]),
    ).toBe('held')
  })
})

test('an error during evaluation is told with the rule, or its message', () => {
  const schema = object({ a: integer, p: { 'x-kubernetes-int-or-string': true } })
  expect(outcome(schema, ' self.a > 0 ', {})).toBe('no such key: a evaluating rule: self.a > 0')
  expect(outcome(schema, { rule: '1 / self.a > 0', message: 'a is no zero' }, { a: 0 })).toBe(
    'division by zero evaluating rule: a is no zero',
  )
  expect(outcome(schema, 'self.p > 0', { p: 'x' })).toBe(
    "'no such overload: _>_(string, int)': call arguments did not match a supported operator, function or macro signature for rule: self.p > 0",
  )
  expect(outcome(schema, 'self.a', {})).toBe('cel expression must evaluate to a bool')
})

test('a rule that runs away is stopped, and no further rule is to be run', () => {
  const rule = compiled(list(integer), 'self.all(a, self.all(b, self.all(c, a + b + c >= 0)))')
  if (typeof rule === 'string') throw new Error(rule)
  expect(
    rule.evaluate(
      Array.from({ length: 200 }, (_, i) => i),
      undefined,
    ),
  ).toMatchObject({
    kind: 'failed',
    final: true,
    detail: expect.stringContaining(
      "'operation cancelled: actual cost limit exceeded': no further validation rules will be run",
    ),
  })
})

describe('estimates', () => {
  const costMax = (schema: JsonSchemaProps, rule: string): number => {
    const made = compiled(schema, rule)
    if (typeof made === 'string') throw new Error(made)
    return made.costMax
  }

  test('what has no bound is too dear when it is looped over', () => {
    const rule = 'self.all(a, self.exists(b, a == b))'
    const cost = costMax(list(text), rule)
    expect(overBudget('estimated rule cost', cost, estimatedRuleCostMax)).toBe(
      'estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)',
    )
    const bounded = costMax(list({ type: 'string', maxLength: 20 }, { maxItems: 50 }), rule)
    expect(overBudget('estimated rule cost', bounded, estimatedRuleCostMax)).toBeUndefined()
  })

  test('bounds of strings count characters of four bytes, an enum its longest value', () => {
    expect(costMax({ type: 'string', maxLength: 10 }, "self == self + ''")).toBe(1 + 1 + 4 + 4)
    expect(costMax({ type: 'string', enum: ['abc', 'a'] }, "self == self + ''")).toBe(1 + 1 + 1 + 1)
  })

  test('the factor is told as upstream tells it', () => {
    expect(overBudget('x', 12, 10)).toContain('by factor of 1.200000x ')
    expect(overBudget('x', 25, 10)).toContain('by factor of 2.5x ')
    expect(overBudget('x', 10, 10)).toBeUndefined()
  })

  test('how often a schema may occur depends on how small its values are', () => {
    expect(compiled(integer, 'self > 0')).toMatchObject({ occurrencesMax: 1_572_864 })
    expect(compiled(object({ name: text }, { required: ['name'] }), 'true')).toMatchObject({ occurrencesMax: 241_979 })
  })
})

test('messageExpression gives a message of one line, or none', () => {
  const message = (messageExpression: string, self: Json): string | undefined => {
    const declaration = declare(object({ a: integer, s: text }), false)
    if (declaration === undefined) return 'no type'
    const made = compileMessage(declaration, false, { rule: 'false', messageExpression })
    return made.kind === 'ok' ? made.message.evaluate(self, undefined).message : made.detail
  }
  expect(message("'a must be more than ' + string(self.a)", { a: 3 })).toBe('a must be more than 3')
  expect(message('"%d of %s".format([dyn(self.a), self.s])', { a: 3, s: 'x' })).toBe('3 of x')
  expect(message('self.s', { s: ' a\nb ' })).toBeUndefined()
  expect(message('self.s', { s: '  ' })).toBeUndefined()
  expect(message('self.s', {})).toBeUndefined()
  expect(message('self.a', {})).toBe('messageExpression must evaluate to a string')
  expect(message('self.z', {})).toContain(
    "messageExpression compilation failed: ERROR: <input>:1:5: undefined field 'z'",
  )
})
