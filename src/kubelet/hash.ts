// Names the part of a pod's spec that a container is made from: a container with another hash is replaced.
import type { Container, EphemeralContainer } from '../api/types/container.ts'
import { canonicalJson, fnv32a } from '../lib/canonical.ts'

/** Eight hex digits that name a value. */
export function shortHash(value: unknown): string {
  return fnv32a(canonicalJson(value)).toString(16).padStart(8, '0')
}

/** Of what a change of makes a new container: as upstream since 1.31, the image alone. */
export function containerHash(container: Container | EphemeralContainer): string {
  return shortHash({ name: container.name, image: container.image ?? '' })
}
