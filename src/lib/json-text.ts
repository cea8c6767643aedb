// What stands in the text of JSON: where its parts end, and what its whole numbers are.

/** One with more digits is beyond an int64. */
export const longInteger = /^-?\d{16,19}$/
const int64Max = 2n ** 63n - 1n
const int64Min = -(2n ** 63n)

/** A number where that is written with the same digits, else a bigint; beyond an int64 the nearest number, as upstream reads it. */
export function exactInteger(value: bigint): number | bigint {
  const number = Number(value)
  return String(number) === String(value) || value > int64Max || value < int64Min ? number : value
}

/** Where the text that begins at `start` ends: its closing quote, or the end of all. */
export function stringEnd(text: string, start: number): number {
  let at = start
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at < 0) return text.length
    let escapes = 0
    while (text.charCodeAt(at - 1 - escapes) === 0x5c) escapes++
    if (escapes % 2 === 0) return at
  }
}
