// Bytes are plain Uint8Arrays over an ArrayBuffer; text is UTF-8.

export type Bytes = Uint8Array<ArrayBufferLike>

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: false })

export function utf8(text: string): Bytes {
  return encoder.encode(text)
}

export function text(bytes: Bytes): string {
  return decoder.decode(bytes)
}

/** Two lower-case digits per byte. */
export function hex(bytes: Bytes): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

export function concat(parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
