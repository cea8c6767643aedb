// Base64 of bytes and text, without Node's Buffer: the API's layer is pure.
import { type Bytes, utf8 } from '../lib/bytes.ts'

const chunk = 8_192

export function base64OfBytes(bytes: Bytes): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += chunk) {
    binary += String.fromCharCode(...bytes.subarray(at, at + chunk))
  }
  return btoa(binary)
}

export function base64OfText(text: string): string {
  return base64OfBytes(utf8(text))
}

export function bytesOfBase64(text: string): Bytes {
  const binary = atob(text)
  return Uint8Array.from(binary, character => character.charCodeAt(0))
}
