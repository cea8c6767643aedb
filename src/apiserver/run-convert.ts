// Kinds that are stored as another (Kind.storedAs). What is read takes the form of the kind that was asked for as it leaves
// the store, and what is written the stored form before it goes there. So all that lies between knows one kind alone, and
// a stored text is a text to serve: for other kinds nothing is done here, and nothing parsed.
import type { Kind, KubeObject } from '../api/kind.ts'
import type { ChangeEvent, KeyValue, Operation } from '../kv/store.ts'
import { assert } from '../lib/assert.ts'
import { decodeStored, encodeStored, objectOf } from './stored.ts'

/** The values as if they were stored in the form of `kind`. */
export async function readAs(kind: Kind, items: readonly KeyValue[]): Promise<readonly KeyValue[]> {
  if (kind.storedAs === undefined || items.length === 0) return items
  const objects = await kind.storedAs.read(items.map(item => objectOf(item)))
  assert(objects.length === items.length, `${items.length} objects became ${objects.length} ${kind.plural}`)
  return items.map((item, i) => {
    const object = objects[i] as KubeObject
    // Stored in this form already: nothing is encoded anew.
    return object === objectOf(item) ? item : { ...item, value: encodeStored(object) }
  })
}

export async function readOneAs(kind: Kind, item: KeyValue | undefined): Promise<KeyValue | undefined> {
  if (kind.storedAs === undefined || item === undefined) return item
  return (await readAs(kind, [item]))[0]
}

export async function eventsAs(kind: Kind, events: readonly ChangeEvent[]): Promise<readonly ChangeEvent[]> {
  if (kind.storedAs === undefined) return events
  const found = events
    .flatMap(event => (event.kind === 'put' ? [event.current, event.previous] : [event.previous]))
    .filter(value => value !== undefined)
  const forms = await readAs(kind, found)
  const formOf = new Map(found.map((value, i) => [value, forms[i] ?? value]))
  const shown = (value: KeyValue) => formOf.get(value) ?? value
  return events.map(event => {
    if (event.kind === 'delete') return { ...event, previous: shown(event.previous) }
    return { ...event, current: shown(event.current), previous: event.previous && shown(event.previous) }
  })
}

/** The operations with the value of `key`, an object in the form of `kind`, as it is stored. */
export async function writeAs(
  kind: Kind,
  key: string,
  operations: readonly Operation[],
): Promise<readonly Operation[]> {
  const { storedAs } = kind
  if (storedAs === undefined) return operations
  return await Promise.all(
    operations.map(async operation => {
      if (operation.key !== key || operation.value === undefined) return operation
      return { ...operation, value: encodeStored(await storedAs.write(decodeStored(operation.value))) }
    }),
  )
}
