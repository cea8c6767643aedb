// The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B), decoding only. The code is canonical: symbols
// sorted by length, then by value, take consecutive codes, so the lengths are all there is to know.

/** Bits of the code of each byte, 0 to 255, and of the end of the string, 256. */
const lengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
]

const endOfString = 256

/** Symbol by length and code: `length * 2^30 + code`, both of which fit a double exactly. */
const symbols = new Map<number, number>()
const keyOf = (length: number, code: number) => length * 2 ** 30 + code
{
  let code = 0
  let before = 0
  const order = lengths.map((length, symbol) => ({ length, symbol }))
  order.sort((a, b) => a.length - b.length || a.symbol - b.symbol)
  for (const { length, symbol } of order) {
    code *= 2 ** (length - before)
    symbols.set(keyOf(length, code), symbol)
    code++
    before = length
  }
}

/** Throws when the bytes are not such a code: an end of the string inside, or padding that is not its first bits. */
export function huffmanDecode(bytes: Uint8Array): Buffer {
  const decoded: number[] = []
  let code = 0
  let length = 0
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1)
      length++
      const symbol = symbols.get(keyOf(length, code))
      if (symbol === undefined) {
        if (length >= 30) throw new Error('HPACK: no symbol has this Huffman code')
        continue
      }
      if (symbol === endOfString) throw new Error('HPACK: the end of the string is inside of it')
      decoded.push(symbol)
      code = 0
      length = 0
    }
  }
  if (length > 7 || code !== 2 ** length - 1) throw new Error('HPACK: wrong padding of a Huffman string')
  return Buffer.from(decoded)
}
