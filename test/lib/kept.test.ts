import { expect, test } from 'vitest'
import { readJsonText } from '../../src/api/reader.ts'
import { Derivation, isKept, keep, keptWith } from '../../src/lib/kept.ts'

const long = (word: string) => JSON.stringify({ word, rest: 'x'.repeat(100) })
const read = (text: string) => JSON.parse(text) as { readonly word: string }

test('what comes a second time is kept, and from then on the same value', () => {
  const first = keep(long('a'), read)
  const second = keep(long('a'), read)
  const third = keep(long('a'), read)
  expect([isKept(first), isKept(second)]).toEqual([false, true])
  expect(third).toBe(second)
  expect(third).toEqual(first)
  expect(keep(long('b'), read)).toEqual(read(long('b')))
})

test('short texts, very long ones, and what make refuses are not kept', () => {
  const huge = JSON.stringify({ word: 'x'.repeat(40_000) })
  for (const text of ['{"word":"a"}', huge]) {
    keep(text, read)
    expect(isKept(keep(text, read))).toBe(false)
  }
  keep(long('c'), () => undefined)
  expect(keep(long('c'), () => undefined)).toBeUndefined()
})

test('a lone surrogate is not taken for the character that stands for it', () => {
  const [lone, replaced] = [long('\ud800').replace('\\ud800', '\ud800'), long('\ufffd')]
  for (let i = 0; i < 3; i++) keep(replaced, read)
  for (let i = 0; i < 3; i++) expect(keep(lone, read)?.word).toBe('\ud800')
})

test('what is derived of a kept value is made once, of any other each time', () => {
  const derived = new Derivation<string, number>()
  let made = 0
  const make = () => ++made
  keep(long('d'), read)
  const value = keep(long('d'), read) as object
  expect([derived.of(value, 'x', make), derived.of(value, 'x', make), derived.of(value, 'y', make)]).toEqual([1, 1, 2])
  expect([derived.of({}, 'x', make), derived.of({}, 'x', make)]).toEqual([3, 4])
  expect(isKept(keptWith(value, { other: true }))).toBe(true)
  expect(isKept(keptWith({}, { other: true }))).toBe(false)
})

test('what is forgotten is made anew, and the same', () => {
  keep(long('e'), read)
  const before = keep(long('e'), read)
  for (let i = 0; i < 40_000; i++) keep(long(`filler-${i}`), read)
  const after = keep(long('e'), read)
  expect(after).not.toBe(before)
  expect(after).toEqual(before)
})

test('an object is read the same with and without a spec that came before, its doubled keys too', () => {
  const spec = JSON.stringify({
    containers: [{ name: 'a', image: 'b', args: ['{', '"spec":{'] }],
    filler: 'x'.repeat(99),
  })
  const texts = [
    `{"kind":"Pod","spec":${spec},"metadata":{"name":"a"}}`,
    `{"kind":"Pod","spec": ${spec}}`,
    `{"metadata":{"spec":${spec}},"spec":${spec}}`,
    `{"spec":${spec},"spec":{"other":1}}`,
    `{"spec":{"other":1},"spec":${spec}}`,
    `{"spec":${spec.replace('"name":"a"', '"name":"a","name":"c"')}}`,
    `{"spec":${spec.replace('"name":"a"', '"name":9007199254740993')}}`,
  ]
  for (const text of texts) {
    const [first, ...others] = [1, 2, 3].map(() => readJsonText(text))
    for (const other of others) expect(other).toEqual(first)
    const plain = JSON.stringify(first?.value)
    expect(JSON.parse(plain)).toEqual(JSON.parse(text))
  }
})
