// Schedules of CronJobs: five fields (minute, hour, day of month, month, day of week), or @daily and its kin.
// https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax

export type Schedule = {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  /** 0 is Sunday. */
  readonly weekdays: ReadonlySet<number>
  /** Whether the field is a star: if neither day field is, a day that fits either one will do. */
  readonly anyDay: boolean
  readonly anyWeekday: boolean
}

const macros: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

const monthNames = ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const weekdayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

/** The schedule, or in words what is wrong with the text. */
export function parseCron(text: string): Schedule | string {
  if (/^(CRON_)?TZ=/.test(text)) return 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
  const given = text.trim().startsWith('@') ? macros[text.trim()] : text.trim()
  if (given === undefined) return `unrecognized descriptor: ${text}`
  const fields = given.split(/\s+/)
  if (fields.length !== 5) return `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  const minutes = valuesOf(minute, 0, 59, [])
  const hours = valuesOf(hour, 0, 23, [])
  const days = valuesOf(day, 1, 31, [])
  const months = valuesOf(month, 1, 12, monthNames)
  const weekdays = valuesOf(weekday, 0, 6, weekdayNames)
  for (const one of [minutes, hours, days, months, weekdays]) if (typeof one === 'string') return one
  return {
    minutes: minutes as ReadonlySet<number>,
    hours: hours as ReadonlySet<number>,
    days: days as ReadonlySet<number>,
    months: months as ReadonlySet<number>,
    weekdays: weekdays as ReadonlySet<number>,
    anyDay: isStar(day),
    anyWeekday: isStar(weekday),
  }
}

function isStar(field: string): boolean {
  return field.startsWith('*') || field.startsWith('?')
}

function valuesOf(field: string, min: number, max: number, names: readonly string[]): ReadonlySet<number> | string {
  const values = new Set<number>()
  for (const part of field.split(',')) {
    const match = /^(\*|\?|[0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?(?:\/([0-9]+))?$/.exec(part)
    if (!match) return `failed to parse ${part}`
    const [, first = '', last, every] = match
    const star = first === '*' || first === '?'
    const from = star ? min : numberOf(first, names)
    const to = last !== undefined ? numberOf(last, names) : star || every !== undefined ? max : from
    const step = every === undefined ? 1 : Number(every)
    if (from === undefined || to === undefined || (star && last !== undefined)) return `failed to parse ${part}`
    if (from < min) return `beginning of range (${from}) below minimum (${min}): ${part}`
    if (to > max) return `end of range (${to}) above maximum (${max}): ${part}`
    if (from > to) return `beginning of range (${from}) beyond end of range (${to}): ${part}`
    if (step === 0) return `step of range should be a positive number: ${part}`
    for (let value = from; value <= to; value += step) values.add(value)
  }
  return values
}

function numberOf(text: string, names: readonly string[]): number | undefined {
  if (/^[0-9]+$/.test(text)) return Number(text)
  const at = names.indexOf(text.toLowerCase())
  return at >= 0 && text !== '' ? at : undefined
}
