// What a command is about to do, seen as if it were done and done only at the end: a command that fails in its middle
// has changed nothing. All of it gets one revision, and each key one event.

import type { Kv } from './kv.ts'
import { moveKey } from './leases.ts'
import { tombstone } from './record.ts'
import type { ChangeEvent, KeyValue, Revision } from './store.ts'
import type { Failure, KeyRange, LeaseId } from './txn.ts'
import { isIn, type Slot } from './versions.ts'

type Drafted = { readonly item: KeyValue; readonly slot: Slot | undefined }

export class Failed {
  readonly why: Failure
  constructor(why: Failure) {
    this.why = why
  }
}

export class Draft {
  readonly #kv: Kv
  readonly revision: Revision
  /** In order; a key that is touched again goes to the end. */
  readonly #drafted = new Map<string, Drafted>()

  constructor(kv: Kv) {
    this.#kv = kv
    this.revision = kv.revision + 1
  }

  get isEmpty(): boolean {
    return this.#drafted.size === 0
  }

  get(key: string): KeyValue | undefined {
    const drafted = this.#drafted.get(key)
    if (drafted === undefined) return this.#kv.versions.get(key)
    return drafted.item.version === 0 ? undefined : drafted.item
  }

  range(range: KeyRange, limit: number): { readonly items: readonly KeyValue[]; readonly count: number } {
    if (this.isEmpty) return this.#kv.versions.range(range, limit)
    const items = new Map<string, KeyValue>()
    for (const item of this.#kv.versions.range(range, Number.POSITIVE_INFINITY).items) items.set(item.key, item)
    for (const [key, { item }] of this.#drafted) {
      if (!isIn(key, range)) continue
      if (item.version === 0) items.delete(key)
      else items.set(key, item)
    }
    const all = [...items.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    return { items: all.slice(0, limit), count: all.length }
  }

  /** `value` or `lease` undefined keeps what the key has. Gives what it was. */
  put(key: string, value: string | undefined, lease: LeaseId | undefined): KeyValue | undefined | Failed {
    const drafted = this.#drafted.get(key)
    const slot = drafted === undefined ? this.#kv.versions.slot(key) : drafted.slot
    const was = drafted?.item ?? slot?.item
    const old = was === undefined || was.version === 0 ? undefined : was
    const item = nextVersion(this.#kv, old, key, value, lease)
    if (item instanceof Failed) return item
    if (drafted !== undefined) this.#drafted.delete(key)
    this.#drafted.set(key, { item, slot })
    return old
  }

  /** Gives what was there. */
  delete(key: string): KeyValue | undefined {
    const drafted = this.#drafted.get(key)
    const slot = drafted === undefined ? this.#kv.versions.slot(key) : drafted.slot
    const was = drafted?.item ?? slot?.item
    if (was === undefined || was.version === 0) return undefined
    if (drafted !== undefined) this.#drafted.delete(key)
    // What came and went within the command never was.
    if (slot !== undefined) this.#drafted.set(key, { item: tombstone(slot.key, this.revision), slot })
    return was
  }

  /** Makes it so. Takes a revision only when something changes, so a revision is always a change. */
  commit(): readonly ChangeEvent[] {
    const kv = this.#kv
    const events: ChangeEvent[] = []
    for (const { item, slot } of this.#drafted.values()) {
      moveKey(kv.leases, item.key, slot?.item.lease ?? 0, item.lease)
      events.push(kv.versions.push(item, slot))
    }
    if (events.length > 0) kv.revision = this.revision
    return events
  }
}

/** What a key becomes by a put; `old` is what it is, also by what the command has done before. */
function nextVersion(
  kv: Kv,
  old: KeyValue | undefined,
  key: string,
  value: string | undefined,
  lease: LeaseId | undefined,
): KeyValue | Failed {
  const revision = kv.revision + 1
  const isKept = value === undefined || lease === undefined
  if (isKept && old === undefined) return new Failed('key-not-found')
  const by = lease ?? old?.lease ?? 0
  if (by !== 0 && !kv.leases.has(by)) return new Failed('lease-not-found')
  if (old === undefined) {
    return { key, value: value ?? '', createRevision: revision, modRevision: revision, version: 1, lease: by }
  }
  return {
    // The old key, so that all versions of one share its memory.
    key: old.key,
    value: value ?? old.value,
    createRevision: old.createRevision,
    modRevision: revision,
    version: old.modRevision === revision ? old.version : old.version + 1,
    lease: by,
  }
}

/** A command that is one put and nothing else: most are. */
export function putAlone(
  kv: Kv,
  key: string,
  value: string | undefined,
  lease: LeaseId | undefined,
): ChangeEvent | Failed {
  const slot = kv.versions.slot(key)
  const item = nextVersion(kv, slot?.item, key, value, lease)
  if (item instanceof Failed) return item
  moveKey(kv.leases, item.key, slot?.item.lease ?? 0, item.lease)
  kv.revision = item.modRevision
  return kv.versions.push(item, slot)
}
