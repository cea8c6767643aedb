// The ids of the last writes that were done, so that a write that is sent again happens once. Ids are numbered as they
// come, so that the state on disk can keep them in pieces and write only the last ones.
import type { Revision } from './store.ts'

export const doneCountMax = 16 * 1024

export class Done {
  readonly #revisions = new Map<string, Revision>()
  #total: number

  /** `total`: how many there have ever been, those of `ids`, oldest first, included. */
  constructor(ids: readonly (readonly [id: string, revision: Revision])[], total = ids.length) {
    for (const [id, revision] of ids) this.#revisions.set(id, revision)
    this.#total = total
  }

  get size(): number {
    return this.#revisions.size
  }

  get total(): number {
    return this.#total
  }

  get(id: string): Revision | undefined {
    return this.#revisions.get(id)
  }

  /** An id that is not known. */
  add(id: string, revision: Revision, countMax = doneCountMax): void {
    this.#revisions.set(id, revision)
    this.#total += 1
    while (this.#revisions.size > countMax) {
      for (const oldest of this.#revisions.keys()) {
        this.#revisions.delete(oldest)
        break
      }
    }
  }

  /** Oldest first. */
  all(): (readonly [id: string, revision: Revision])[] {
    return [...this.#revisions]
  }
}
