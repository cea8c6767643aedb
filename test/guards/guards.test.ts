// The table of guards tells of the sources as they are: each text stands in its file exactly once, and each test is there.
// That the tests fail without them is shown by `node test/guards/run.ts`.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { guards } from './guards.ts'

const root = join(import.meta.dirname, '..', '..')

test.each(guards.map(guard => [guard.row, guard.file, guard.name, guard] as const))(
  '%s: the guard in %s that «%s» is about stands where the table says',
  (_row, _file, _name, { file, text, becomes }) => {
    expect(readFileSync(join(root, 'src', file), 'utf8').split(text)).toHaveLength(2)
    expect(becomes).not.toBe(text)
  },
)

test('every attack that concerns the API is in the table', () => {
  const all = [
    ...Array.from({ length: 16 }, (_, i) => `A${i + 1}`),
    ...[1, 2, 3, 5, 6, 7].map(i => `D${i}`),
    ...[1, 2, 3, 4, 5].map(i => `B${i}`),
  ]
  expect(all.filter(row => !guards.some(guard => guard.row === row))).toEqual([])
})
