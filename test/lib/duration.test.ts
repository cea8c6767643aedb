import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { age, humanDuration, parseGoDuration, parseRfc3339, rfc3339, rfc3339Micro } from '../../src/lib/duration.ts'

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000]

describe('an age as kubectl prints it', () => {
  test.each([
    [-5 * second, '<invalid>'],
    [-second, '0s'],
    [0, '0s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [2 * minute + 5 * second, '2m5s'],
    [10 * minute + second, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [3 * hour + 7 * minute, '3h7m'],
    [8 * hour + 59 * minute, '8h'],
    [47 * hour, '47h'],
    [2 * day, '2d'],
    [2 * day + 3 * hour, '2d3h'],
    [8 * day + 5 * hour, '8d'],
    [729 * day, '729d'],
    [730 * day, '2y'],
    [800 * day, '2y70d'],
    [3_000 * day, '8y'],
  ])('of %i ms is %s', (ms, text) => expect(humanDuration(ms)).toBe(text))

  test('is unknown without a time', () => {
    expect(age(undefined, 0)).toBe('<unknown>')
    expect(age('yesterday', 0)).toBe('<unknown>')
    expect(age('1970-01-01T00:00:00Z', 5_000)).toBe('5s')
  })
})

test('Go durations are read, and nothing else', () => {
  expect(parseGoDuration('1h30m')).toBe(90 * minute)
  expect(parseGoDuration('-1.5s')).toBe(-1_500)
  expect(parseGoDuration('250ms')).toBe(250)
  expect(parseGoDuration('0')).toBe(0)
  for (const text of ['', '5', 's', '1h ', '1d', '1h-3m']) expect(parseGoDuration(text)).toBeUndefined()
})

describe('RFC 3339', () => {
  test('agrees with the engine on every second from year 1 to 9999', () => {
    const [first, last] = [Date.UTC(1, 0, 1) - 1900 * 365.25 * day, Date.UTC(9999, 11, 31)]
    fc.assert(
      fc.property(fc.integer({ min: Math.max(first, -62_135_596_800_000), max: last }), ms => {
        const whole = Math.floor(ms / 1_000) * 1_000
        expect(rfc3339(ms)).toBe(new Date(whole).toISOString().replace('.000Z', 'Z'))
        expect(parseRfc3339(rfc3339(ms))).toBe(whole)
      }),
    )
  })
  test('takes offsets and fractions', () => {
    expect(parseRfc3339('2026-01-02T03:04:05.5+01:30')).toBe(Date.UTC(2026, 0, 2, 1, 34, 5, 500))
    expect(rfc3339Micro(Date.UTC(2026, 0, 2, 3, 4, 5, 678))).toBe('2026-01-02T03:04:05.678000Z')
  })
  test.each([
    '',
    '2026-01-02',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01 00:00:00Z',
  ])('%s is no time', text => expect(parseRfc3339(text)).toBeUndefined())
})
