// The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B), decoding only: what we send is indexed or short. The
// code is canonical (ordered by length, then by symbol, codes count up), so the lengths say all.
import type { Bytes } from '../../lib/bytes.ts'

/** How many bits the code of each octet has, a digit to base 36 each; the last is the end of the string. */
const lengths =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq' +
  'u'

const endOfString = 256
/** Two entries for each node, what follows a 0 and a 1: a node's number, or ~symbol at the end of a code; 0 is nothing. */
const tree = buildTree()

function buildTree(): Int16Array {
  const nodes = new Int16Array(2 * 256 + 2)
  const order = Array.from(lengths, (digit, symbol) => ({ length: Number.parseInt(digit, 36), symbol }))
  order.sort((a, b) => a.length - b.length || a.symbol - b.symbol)
  let count = 1
  let code = 0
  let lengthBefore = 0
  for (const { length, symbol } of order) {
    code <<= length - lengthBefore
    lengthBefore = length
    let node = 0
    for (let bit = length - 1; bit > 0; bit--) {
      const at = 2 * node + ((code >> bit) & 1)
      if (nodes[at] === 0) nodes[at] = count++
      node = nodes[at] ?? 0
    }
    nodes[2 * node + (code & 1)] = ~symbol
    code += 1
  }
  return nodes
}

/** The text of `bytes[start, end)`, one character per octet; undefined when it is no such code. */
export function huffmanDecode(bytes: Bytes, start: number, end: number): string | undefined {
  let text = ''
  let node = 0
  /** Of the code that is not at its end yet. */
  let bits = 0
  let allOnes = true
  for (let at = start; at < end; at++) {
    const octet = bytes[at] ?? 0
    for (let shift = 7; shift >= 0; shift--) {
      const bit = (octet >> shift) & 1
      const next = tree[2 * node + bit] ?? 0
      if (next < 0) {
        if (next === ~endOfString) return undefined
        text += String.fromCharCode(~next)
        node = 0
        bits = 0
        allOnes = true
      } else {
        node = next
        bits += 1
        if (bit === 0) allOnes = false
      }
    }
  }
  // What is left over are the first bits of the end of the string, and less than an octet.
  return bits < 8 && allOnes ? text : undefined
}
