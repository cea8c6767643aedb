// Names the part of a pod's spec that a container is made from: a container with another hash is replaced.
import type { Json } from '../api/schema.ts'
import type { Container, EphemeralContainer } from '../api/types/container.ts'
import { compareText } from '../lib/sorted.ts'

/** JSON with sorted keys, so that the same value gives the same text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value as { [key: string]: Json }).filter(([, inner]) => inner !== undefined)
    entries.sort(([a], [b]) => compareText(a, b))
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

/** FNV-1a, 32 bits, eight hex digits (Fowler, Noll, Vo). */
export function fnv1a(text: string): string {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** Of what a change of makes a new container: as upstream since 1.31, the image alone. */
export function containerHash(container: Container | EphemeralContainer): string {
  return fnv1a(canonical({ name: container.name, image: container.image ?? '' }))
}
