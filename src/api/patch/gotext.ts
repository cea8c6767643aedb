// JSON as Go prints it, for messages that clients know from upstream. Keys are in order, as fmt has them.
import { sortedBy } from '../../lib/sorted.ts'
import { isList, isObject } from '../parse.ts'
import type { Json } from '../schema.ts'

const entriesOf = (value: Json & object): readonly (readonly [string, Json])[] =>
  sortedBy(Object.entries(value as Readonly<Record<string, Json>>), ([key]) => key)

/** %v: map[a:1 b:[x y]] */
export function goText(value: Json): string {
  if (value === null) return '<nil>'
  if (isList(value)) return `[${value.map(goText).join(' ')}]`
  if (isObject(value))
    return `map[${entriesOf(value)
      .map(([key, item]) => `${key}:${goText(item)}`)
      .join(' ')}]`
  return String(value)
}

/** %#v: map[string]interface {}{"a":1} */
export function goSyntax(value: Json): string {
  if (value === null) return 'interface {}(nil)'
  if (isList(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`
  if (isObject(value)) {
    const entries = entriesOf(value).map(([key, item]) => `${JSON.stringify(key)}:${goSyntax(item)}`)
    return `map[string]interface {}{${entries.join(', ')}}`
  }
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** %T of what encoding/json reads. */
export function goType(value: Json): string {
  if (value === null) return '<nil>'
  if (isList(value)) return '[]interface {}'
  if (isObject(value)) return 'map[string]interface {}'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'string'
  return typeof value === 'number' && !Number.isInteger(value) ? 'float64' : 'int64'
}
