// Text as the bytes that it is in UTF-8, one character per byte (U+0000 to U+00FF): the form in which the store keeps
// keys and values. ASCII text is the same in both forms, and is told apart by a look at its length alone.

/** The UTF-8 bytes of the text. A lone surrogate becomes U+FFFD, as everywhere where text becomes bytes. */
export function packText(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The text whose UTF-8 bytes these are; what is no UTF-8 becomes U+FFFD. */
export function unpackText(packed: string): string {
  return isAscii(packed) ? packed : Buffer.from(packed, 'latin1').toString('utf8')
}

/** That every character is a byte, so that the text can be stored as it is. */
export function isPacked(text: string): boolean {
  // V8 knows of most strings that they have no such character, and then does not look.
  return !/[^\x00-\xff]/.test(text)
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text, 'utf8') === text.length
}
