// Writing small tar archives in memory (POSIX ustar), byte for byte the same for the same input, so that an image made of
// one has the same ID on every machine. Pure.
import { assert } from '../../lib/assert.ts'
import { type Bytes, concat, utf8 } from '../../lib/bytes.ts'

export type TarEntry =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly bytes: Bytes }
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }

const blockBytes = 512

export function tar(entries: readonly TarEntry[]): Bytes {
  const parts: Bytes[] = []
  for (const entry of entries) {
    const bytes = entry.kind === 'file' ? entry.bytes : new Uint8Array(0)
    parts.push(
      header(entry, bytes.length),
      bytes,
      new Uint8Array((blockBytes - (bytes.length % blockBytes)) % blockBytes),
    )
  }
  parts.push(new Uint8Array(2 * blockBytes))
  return concat(parts)
}

function header(entry: TarEntry, size: number): Bytes {
  const block = new Uint8Array(blockBytes)
  const put = (at: number, room: number, value: string) => {
    const bytes = utf8(value)
    assert(bytes.length <= room, `too long for a tar header: ${value}`)
    block.set(bytes, at)
  }
  const octal = (at: number, room: number, value: number) =>
    put(at, room - 1, value.toString(8).padStart(room - 1, '0'))
  const mode = entry.kind === 'symlink' ? 0o777 : entry.mode
  put(0, 100, entry.kind === 'folder' ? `${entry.path}/` : entry.path)
  octal(100, 8, mode)
  octal(108, 8, 0)
  octal(116, 8, 0)
  octal(124, 12, size)
  octal(136, 12, 0)
  put(156, 1, entry.kind === 'file' ? '0' : entry.kind === 'folder' ? '5' : '2')
  if (entry.kind === 'symlink') put(157, 100, entry.target)
  put(257, 8, 'ustar\x0000')
  put(148, 8, '        ')
  const sum = block.reduce((total, byte) => total + byte, 0)
  put(148, 8, `${sum.toString(8).padStart(6, '0')}\0 `)
  return block
}
