import { describe, expect, test } from 'vitest'
import { findJsonPath, parseJsonPath } from '../../src/lib/jsonpath.ts'

const value = {
  metadata: { annotations: { 'example.com/a': 'x' } },
  spec: { list: [{ name: 'a', n: 1 }, { name: 'b', n: 2 }, { name: 'c' }], empty: '' },
}

describe('a path', () => {
  const cases: readonly (readonly [string, readonly unknown[]])[] = [
    ['.spec.list[0].name', ['a']],
    ['{.spec.list[-1].name}', ['c']],
    ['.spec.list[*].name', ['a', 'b', 'c']],
    ['.spec.list[0:2].name', ['a', 'b']],
    ['.spec.list[?(@.name=="b")].n', [2]],
    ['.spec.list[?(@.n>1)].name', ['b']],
    ['.spec.list[?(@.n)].name', ['a', 'b']],
    ['..name', ['a', 'b', 'c']],
    [".metadata.annotations['example.com/a']", ['x']],
    ['.metadata.annotations.example\\.com/a', ['x']],
    ['.spec.empty', ['']],
    ['.spec.nothing.more', []],
    ['.spec.list.name', []],
    ['.constructor', []],
  ]
  test.each(cases)('%s', (path, wanted) => {
    const parsed = parseJsonPath(path)
    expect(parsed).toBeDefined()
    expect(parsed && findJsonPath(parsed, value)).toEqual(wanted)
  })
})

test('text that is no path is none', () => {
  for (const text of ['.a[', '.a[?(', '.a[x]', '.a]b[', '.a..', `.${'a'.repeat(5_000)}`]) {
    expect([text, parseJsonPath(text)]).toEqual([text, undefined])
  }
})
