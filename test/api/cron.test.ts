import { describe, expect, test } from 'vitest'
import { parseCron } from '../../src/api/cron.ts'

describe('a schedule', () => {
  test('is five fields of stars, numbers, names, ranges and steps', () => {
    expect(parseCron('*/15 0,12 1-3 jan,MAR mon-fri')).toEqual({
      minutes: new Set([0, 15, 30, 45]),
      hours: new Set([0, 12]),
      days: new Set([1, 2, 3]),
      months: new Set([1, 3]),
      weekdays: new Set([1, 2, 3, 4, 5]),
      anyDay: false,
      anyWeekday: false,
    })
    expect(parseCron('5/20 * * * ?')).toMatchObject({ minutes: new Set([5, 25, 45]), anyDay: true, anyWeekday: true })
  })
  test('may be a name', () => {
    expect(parseCron('@daily')).toEqual(parseCron('0 0 * * *'))
  })
  test.each([
    ['every day', 'expected exactly 5 fields, found 2: [every day]'],
    ['60 * * * *', 'end of range (60) above maximum (59): 60'],
    ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
    ['5-1 * * * *', 'beginning of range (5) beyond end of range (1): 5-1'],
    ['*/0 * * * *', 'step of range should be a positive number: */0'],
    ['x * * * *', 'failed to parse x'],
    ['@often', 'unrecognized descriptor: @often'],
    ['TZ=UTC * * * * *', 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'],
  ])('%s is none: %s', (text, why) => expect(parseCron(text)).toBe(why))
})
