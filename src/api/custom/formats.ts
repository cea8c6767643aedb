// The formats of strings that a schema may name, as upstream's validator knows them; any other name is no rule. Pure.
// Every check is linear in the text. Upstream: kube-openapi pkg/validation/strfmt.
import { readRfc3339 } from '../../lib/duration.ts'

type Check = (text: string) => boolean

const pattern =
  (regex: RegExp): Check =>
  text =>
    regex.test(text)

const hex = '[0-9a-fA-F]'
const uuid = (version: string, variant = hex) =>
  pattern(new RegExp(`^${hex}{8}-?${hex}{4}-?${version}${hex}{3}-?${variant}${hex}{3}-?${hex}{12}$`))

export function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

export function isIpv6(text: string): boolean {
  if (text.length > 45 || !text.includes(':')) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  const count = (half: string): number | undefined => {
    if (half === '') return 0
    const parts = half.split(':')
    const last = parts.at(-1) ?? ''
    const dotted = isIpv4(last) && half === halves.at(-1)
    const groups = dotted ? parts.slice(0, -1) : parts
    return groups.every(part => /^[0-9a-fA-F]{1,4}$/.test(part)) ? groups.length + (dotted ? 2 : 0) : undefined
  }
  const counts = halves.map(count)
  if (counts.includes(undefined)) return false
  const sum = counts.reduce<number>((all, one) => all + (one ?? 0), 0)
  return halves.length === 2 ? sum < 8 : sum === 8
}

function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/')
  if (rest.length > 0 || !/^\d{1,3}$/.test(length)) return false
  return isIpv4(address) ? Number(length) <= 32 : isIpv6(address) && Number(length) <= 128
}

function isHostname(text: string): boolean {
  return (
    text.length <= 255 && text.split('.').every(label => /^[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/.test(label))
  )
}

function isUri(text: string): boolean {
  return /^[a-zA-Z][-+.a-zA-Z0-9]*:\S+$/.test(text) || /^\/\S*$/.test(text)
}

function isDate(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && readRfc3339(`${text}T00:00:00Z`) !== undefined
}

/** Go's durations ('1h30m', '250ms') and those of people ('3 days'). */
function isDuration(text: string): boolean {
  if (/^[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.test(text)) return true
  return /^\s*\d+\s*(?:ns|nano|us|µs|micro|ms|milli|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|wk|weeks?)\s*$/.test(
    text,
  )
}

function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@')
  return at > 0 && !/\s/.test(text) && isHostname(text.slice(at + 1))
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}

function sumOfDigits(text: string): number {
  let sum = 0
  for (const [i, char] of [...text].reverse().entries()) {
    const digit = Number(char) * (i % 2 === 1 ? 2 : 1)
    sum += digit > 9 ? digit - 9 : digit
  }
  return sum
}

function isIsbn10(text: string): boolean {
  const bare = text.replace(/[\s-]/g, '')
  if (!/^\d{9}[\dX]$/.test(bare)) return false
  return [...bare].reduce((sum, char, i) => sum + (10 - i) * (char === 'X' ? 10 : Number(char)), 0) % 11 === 0
}

function isIsbn13(text: string): boolean {
  const bare = text.replace(/[\s-]/g, '')
  return /^\d{13}$/.test(bare) && [...bare].reduce((sum, char, i) => sum + Number(char) * (i % 2 ? 3 : 1), 0) % 10 === 0
}

const dateTime: Check = text => readRfc3339(text) !== undefined

export const formats: Readonly<Record<string, Check>> = {
  bsonobjectid: pattern(/^[0-9a-fA-F]{24}$/),
  uri: isUri,
  email: isEmail,
  hostname: isHostname,
  ipv4: isIpv4,
  ipv6: isIpv6,
  cidr: isCidr,
  mac: pattern(/^(?:[0-9a-fA-F]{2}[:-]){5}(?:(?:[0-9a-fA-F]{2}[:-]){2})?[0-9a-fA-F]{2}$/),
  uuid: uuid(hex),
  uuid3: uuid('3'),
  uuid4: uuid('4', '[89abAB]'),
  uuid5: uuid('5', '[89abAB]'),
  isbn: text => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: text => /^[\d -]{13,23}$/.test(text) && sumOfDigits(text.replace(/[ -]/g, '')) % 10 === 0,
  ssn: pattern(/^\d{3}[- ]?\d{2}[- ]?\d{4}$/),
  hexcolor: pattern(/^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/),
  rgbcolor: pattern(/^rgb\( *\d{1,3} *, *\d{1,3} *, *\d{1,3} *\)$/),
  byte: isBase64,
  password: () => true,
  date: isDate,
  duration: isDuration,
  datetime: dateTime,
  'date-time': dateTime,
}
