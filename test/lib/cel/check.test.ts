// What does not compile, in cel-go's words and with its marks: users see these messages in statuses.
import { expect, test } from 'vitest'
import { outcome } from './run.ts'

const start =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

const refused: readonly (readonly [string, string])[] = [
  ['self.x', "1:1: undeclared reference to 'self' (in container '')\n | self.x\n | ^"],
  ['x +\n  y', "2:3: undeclared reference to 'y' (in container '')\n |   y\n | ..^"],
  ['"é" + y', "1:7: undeclared reference to 'y' (in container '')\n | \"é\" + y\n | .．....^"],
  ["x + 'a'", "1:3: found no matching overload for '_+_' applied to '(int, string)'\n | x + 'a'\n | ..^"],
  [
    's.startsWith(1)',
    "1:13: found no matching overload for 'startsWith' applied to 'string.(int)'\n | s.startsWith(1)\n | ............^",
  ],
  ['s.nope()', "1:7: undeclared reference to 'nope' (in container '')\n | s.nope()\n | ......^"],
  ['nope(s)', "1:5: undeclared reference to 'nope' (in container '')\n | nope(s)\n | ....^"],
  ['s.field', "1:2: type 'string' does not support field selection\n | s.field\n | .^"],
  ["[1, 'a']", "1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"],
  ["{'a': 1, 'b': 'c'}", "1:15: expected type 'int' but found 'string'\n | {'a': 1, 'b': 'c'}\n | ..............^"],
  ['x == s', "1:3: found no matching overload for '_==_' applied to '(int, string)'\n | x == s\n | ..^"],
  [
    'true ? 1 : s',
    "1:6: found no matching overload for '_?_:_' applied to '(bool, int, string)'\n | true ? 1 : s\n | .....^",
  ],
  ['x && true', "1:3: found no matching overload for '_&&_' applied to '(int, bool)'\n | x && true\n | ..^"],
  [
    'items.all(e, e)',
    "1:10: found no matching overload for '_&&_' applied to '(bool, int)'\n | items.all(e, e)\n | .........^",
  ],
  [
    'x.all(e, true)',
    "1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)\n | x.all(e, true)\n | ^",
  ],
  ['items.all(1, true)', '1:11: argument must be a simple name\n | items.all(1, true)\n | ..........^'],
  ['items.map(a.b, true)', '1:12: argument is not an identifier\n | items.map(a.b, true)\n | ...........^'],
  ['has(x)', '1:5: invalid argument to has() macro\n | has(x)\n | ....^'],
  ["s.matches('(')", "1:11: invalid matches argument\n | s.matches('(')\n | ..........^"],
  ["duration('x')", "1:10: invalid duration argument\n | duration('x')\n | .........^"],
  ["timestamp('x')", "1:11: invalid timestamp argument\n | timestamp('x')\n | ..........^"],
  ['Nope{a: 1}', "1:5: undeclared reference to 'Nope' (in container '')\n | Nope{a: 1}\n | ....^"],
  ['9223372036854775808', '1:1: invalid int literal\n | 9223372036854775808\n | ^'],
  ['x &&', `1:5: Syntax error: mismatched input '<EOF>' expecting ${start}\n | x &&\n | ....^`],
  ['', `1:1: Syntax error: mismatched input '<EOF>' expecting ${start}\n | \n | ^`],
  ['x x', "1:3: Syntax error: mismatched input 'x' expecting <EOF>\n | x x\n | ..^"],
  [
    'x @ 1',
    "1:3: Syntax error: token recognition error at: '@'\n | x @ 1\n | ..^\nERROR: <input>:1:5: Syntax error: mismatched input '1' expecting <EOF>\n | x @ 1\n | ....^",
  ],
  ['for', '1:1: reserved identifier: for\n | for\n | ^'],
]

test.each(refused)('%s', (expression, message) => {
  expect(outcome(expression)).toBe(`refused: ERROR: <input>:${message}`)
})

test('all mistakes are told, in the order of their places', () => {
  const message = outcome('y + z')
  expect(message.match(/undeclared reference to '.'/g)).toEqual([
    "undeclared reference to 'y'",
    "undeclared reference to 'z'",
  ])
})

test('of very many mistakes the first hundred are told', () => {
  const message = outcome(`[${'y, '.repeat(20_000)}y]`)
  expect(message.match(/undeclared reference/g)).toHaveLength(100)
  expect(message).toMatch(/\n19901 more errors were truncated$/)
})

test('nesting is bounded, and long chains of && are not deep', () => {
  const limit = 'expression recursion limit exceeded: 250'
  expect(outcome(`${'('.repeat(300)}1${')'.repeat(300)}`)).toContain(limit)
  expect(outcome(`${'['.repeat(300)}1${']'.repeat(300)}`)).toContain(limit)
  expect(outcome(`1${' + 1'.repeat(300)}`)).toContain(limit)
  expect(outcome(`${'true ? true : '.repeat(300)}true`)).toContain(limit)
  expect(outcome(`true${' && true'.repeat(5_000)}`)).toBe('true')
  expect(outcome(`true || ${'x'.repeat(100_000)}`)).toContain('expression code point size exceeds limit')
})
