// What an HTTP/2 frame looks like (RFC 9113, sections 4 and 6). Pure; used by both ends of the bench.

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
export const frameBytes = 9
/** Of a connection, and of a stream until SETTINGS say otherwise. */
export const windowDefault = 65_535

export const types = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
}

export const flags = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 }

export const settingIds = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
}

/** Writes the nine bytes in front of a payload of `length` bytes at `at`, and gives where the payload goes. */
export function writeFrameHead(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flag: number,
  streamId: number,
): number {
  out[at] = length >>> 16
  out[at + 1] = length >>> 8
  out[at + 2] = length
  out[at + 3] = type
  out[at + 4] = flag
  out.writeUInt32BE(streamId, at + 5)
  return at + frameBytes
}

/** Code and text of the payload `bytes[start, end)` of a GOAWAY. */
export const goAwayReason = (bytes: Buffer, start: number, end: number): string =>
  `code ${bytes.readUInt32BE(start + 4)} ${bytes.toString('utf8', start + 8, end)}`.trim()
