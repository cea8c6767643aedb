// The ids of the last writes that were done, so that a write that is sent again happens once. Ids are numbered as they
// come, so that the state on disk can keep them in pieces and write only the last ones.
import type { Revision } from './store.ts'

export const doneCountMax = 16 * 1024

type Id = readonly [id: string, revision: Revision]

export class Done {
  readonly #revisions = new Map<string, Revision>()
  /** Oldest first, from `#head` on. To find the oldest in the map itself would mean to step over all that were deleted. */
  #order: Id[] = []
  #head = 0
  #total: number

  /** `total`: how many there have ever been, those of `ids`, oldest first, included. */
  constructor(ids: readonly Id[], total = ids.length) {
    for (const id of ids) this.#push(id)
    this.#total = total
  }

  get size(): number {
    return this.#order.length - this.#head
  }

  get total(): number {
    return this.#total
  }

  get(id: string): Revision | undefined {
    return this.#revisions.get(id)
  }

  /** An id that is not known. */
  add(id: string, revision: Revision, countMax = doneCountMax): void {
    this.#push([id, revision])
    this.#total += 1
    while (this.size > countMax) this.#dropOldest()
  }

  #push(id: Id): void {
    this.#revisions.set(id[0], id[1])
    this.#order.push(id)
  }

  #dropOldest(): void {
    const oldest = this.#order[this.#head]
    if (oldest !== undefined) this.#revisions.delete(oldest[0])
    this.#head += 1
    if (this.#head * 2 < this.#order.length) return
    this.#order = this.#order.slice(this.#head)
    this.#head = 0
  }

  /** Oldest first. */
  all(): readonly Id[] {
    return this.#order.slice(this.#head)
  }
}
