// The frames of SPDY/3.1, which kubectl speaks for exec, attach and port-forward. Pure: header blocks stay compressed
// here. https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
import { type Bytes, concat } from '../../lib/bytes.ts'

export type Frame =
  | { readonly kind: 'data'; readonly stream: number; readonly fin: boolean; readonly bytes: Bytes }
  | { readonly kind: 'synStream'; readonly stream: number; readonly fin: boolean; readonly block: Bytes }
  | { readonly kind: 'synReply'; readonly stream: number; readonly fin: boolean; readonly block: Bytes }
  | { readonly kind: 'headers'; readonly stream: number; readonly fin: boolean; readonly block: Bytes }
  | { readonly kind: 'reset'; readonly stream: number; readonly status: number }
  | { readonly kind: 'settings'; readonly initialWindow: number | undefined }
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'goAway'; readonly lastStream: number }
  | { readonly kind: 'windowUpdate'; readonly stream: number; readonly delta: number }
  /** Of a type that we do not know: passed over, as the protocol asks. */
  | { readonly kind: 'other' }

export class SpdyError extends Error {
  override readonly name = 'SpdyError'
}

export const resetStatus = { protocolError: 1, invalidStream: 2, refused: 3, cancel: 5, internal: 6 } as const

const version = 3
const flagFin = 1
/** Clients send what they read at once, at most some tens of kilobytes. */
const dataBytesMax = 4 * 1024 * 1024
const controlBytesMax = 64 * 1024
const types = { synStream: 1, synReply: 2, reset: 3, settings: 4, ping: 6, goAway: 7, headers: 8, windowUpdate: 9 }
const settingsInitialWindow = 7

export class FrameReader {
  #rest: Bytes = new Uint8Array()

  /** The frames that are whole now. Throws SpdyError on what is no SPDY/3 or is too large. */
  push(bytes: Bytes): Frame[] {
    const all = this.#rest.length === 0 ? bytes : concat([this.#rest, bytes])
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength)
    const frames: Frame[] = []
    let at = 0
    while (all.length - at >= 8) {
      const length = view.getUint32(at + 4) & 0xffffff
      const control = (view.getUint8(at) & 0x80) !== 0
      if (length > (control ? controlBytesMax : dataBytesMax))
        throw new SpdyError(`a frame of ${length} bytes is too large`)
      if (all.length - at - 8 < length) break
      const first = view.getUint32(at)
      const flags = view.getUint8(at + 4)
      const body = all.subarray(at + 8, at + 8 + length)
      at += 8 + length
      if (!control) {
        frames.push({ kind: 'data', stream: first, fin: (flags & flagFin) !== 0, bytes: body })
        continue
      }
      if (((first >>> 16) & 0x7fff) !== version) throw new SpdyError(`version ${(first >>> 16) & 0x7fff} is not SPDY/3`)
      frames.push(controlFrame(first & 0xffff, (flags & flagFin) !== 0, body))
    }
    this.#rest = all.length === at ? new Uint8Array() : all.slice(at)
    return frames
  }
}

function controlFrame(type: number, fin: boolean, body: Bytes): Frame {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const need = (count: number) => {
    if (body.length < count) throw new SpdyError(`a control frame of type ${type} is too short`)
  }
  const id = (at: number) => view.getUint32(at) & 0x7fffffff
  switch (type) {
    case types.synStream:
      need(10)
      return { kind: 'synStream', stream: id(0), fin, block: body.subarray(10) }
    case types.synReply:
      need(4)
      return { kind: 'synReply', stream: id(0), fin, block: body.subarray(4) }
    case types.headers:
      need(4)
      return { kind: 'headers', stream: id(0), fin, block: body.subarray(4) }
    case types.reset:
      need(8)
      return { kind: 'reset', stream: id(0), status: view.getUint32(4) }
    case types.settings: {
      need(4)
      const count = Math.min(view.getUint32(0), Math.floor((body.length - 4) / 8))
      let initialWindow: number | undefined
      for (let i = 0; i < count; i++) {
        if ((view.getUint32(4 + i * 8) & 0xffffff) === settingsInitialWindow) initialWindow = view.getUint32(8 + i * 8)
      }
      return { kind: 'settings', initialWindow }
    }
    case types.ping:
      need(4)
      return { kind: 'ping', id: view.getUint32(0) }
    case types.goAway:
      need(4)
      return { kind: 'goAway', lastStream: id(0) }
    case types.windowUpdate:
      need(8)
      return { kind: 'windowUpdate', stream: id(0), delta: id(4) }
    default:
      return { kind: 'other' }
  }
}

function control(type: number, fin: boolean, body: Bytes): Bytes {
  const frame = new Uint8Array(8 + body.length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, 0x80000000 + version * 0x10000 + type)
  view.setUint32(4, body.length)
  frame[4] = fin ? flagFin : 0
  frame.set(body, 8)
  return frame
}

function words(...values: readonly number[]): Bytes {
  const bytes = new Uint8Array(values.length * 4)
  const view = new DataView(bytes.buffer)
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value)
  return bytes
}

export function dataFrame(stream: number, bytes: Bytes, fin: boolean): Bytes {
  const frame = new Uint8Array(8 + bytes.length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, stream)
  view.setUint32(4, bytes.length)
  frame[4] = fin ? flagFin : 0
  frame.set(bytes, 8)
  return frame
}

/** For clients: the server of Kubernetes opens no streams. */
export const synStreamFrame = (stream: number, block: Bytes, fin: boolean): Bytes =>
  control(types.synStream, fin, concat([words(stream, 0), new Uint8Array(2), block]))
export const synReplyFrame = (stream: number, block: Bytes): Bytes =>
  control(types.synReply, false, concat([words(stream), block]))
export const resetFrame = (stream: number, status: number): Bytes => control(types.reset, false, words(stream, status))
export const pingFrame = (id: number): Bytes => control(types.ping, false, words(id))
export const goAwayFrame = (lastStream: number): Bytes => control(types.goAway, false, words(lastStream, 0))
export const windowUpdateFrame = (stream: number, delta: number): Bytes =>
  control(types.windowUpdate, false, words(stream, delta))

const headerCountMax = 256
const decoder = new TextDecoder('utf-8')
const encoder = new TextEncoder()

/** A header block once it is inflated. Names in lower case. */
export function readHeaders(block: Bytes): Readonly<Record<string, string>> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  let at = 0
  const number = (): number => {
    if (block.length - at < 4) throw new SpdyError('a header block ends too early')
    at += 4
    return view.getUint32(at - 4)
  }
  const text = (): string => {
    const length = number()
    if (block.length - at < length) throw new SpdyError('a header block ends too early')
    at += length
    return decoder.decode(block.subarray(at - length, at))
  }
  const count = number()
  if (count > headerCountMax) throw new SpdyError(`${count} headers are too many`)
  const headers = Object.create(null) as Record<string, string>
  for (let i = 0; i < count; i++) {
    const name = text().toLowerCase()
    // Several values of one name are parted by a zero byte; none of ours has several.
    headers[name] = text().split('\0')[0] ?? ''
  }
  return headers
}

export function writeHeaders(headers: Readonly<Record<string, string>>): Bytes {
  const entries = Object.entries(headers)
  const parts: Bytes[] = [words(entries.length)]
  for (const [name, value] of entries) {
    for (const text of [name.toLowerCase(), value]) {
      const bytes = encoder.encode(text)
      parts.push(words(bytes.length), bytes)
    }
  }
  return concat(parts)
}

/** What both sides begin their compression with (section 2.6.10.1): 1423 bytes, Adler-32 e3c6a7c2. */
export const dictionary: Bytes = makeDictionary()

function makeDictionary(): Bytes {
  const names =
    'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
    'authorization cache-control connection content-base content-encoding content-language content-length ' +
    'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
    'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
    'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
    'user-agent vary via warning www-authenticate method get status'
  const more = 'version HTTP/1.1 url public set-cookie keep-alive origin'
  const tail =
    '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
    '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized' +
    '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
    'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
    'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,' +
    'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.'
  const texts = [...names.split(' '), '200 OK', ...more.split(' ')]
  return concat([...texts.flatMap(text => [words(text.length), encoder.encode(text)]), encoder.encode(tail)])
}
