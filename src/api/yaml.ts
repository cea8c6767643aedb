// JSON values as YAML text, in one pass over the value: keys in order, block style, as the API server writes it. Texts that
// could be read as something else stand in double quotes, escaped as in JSON, which YAML reads the same way.
import { compareText } from '../lib/sorted.ts'
import { isList, isObject } from './parse.ts'
import type { Json } from './schema.ts'

/** Ends with a newline. */
export function yamlText(value: Json): string {
  if (isList(value) ? value.length === 0 : !isObject(value) || Object.keys(value).length === 0) {
    return `${inline(value)}\n`
  }
  const out: string[] = []
  block(value, '', out)
  return out.join('')
}

/** The same as one item of a list that stands at the margin. */
export function yamlItem(value: Json): string {
  const out: string[] = []
  item(value, '', out)
  return out.join('')
}

function block(value: Json, indent: string, out: string[]): void {
  if (isList(value)) {
    for (const one of value) {
      out.push(indent)
      item(one, indent, out)
    }
  } else if (isObject(value)) {
    let isFirst = true
    for (const key of Object.keys(value).sort(compareText)) {
      // The first key of an item stands behind its dash.
      if (!isFirst || out.at(-1) !== '- ') out.push(indent)
      isFirst = false
      entry(key, value[key] ?? null, indent, out)
    }
  }
}

function item(value: Json, indent: string, out: string[]): void {
  out.push('- ')
  if (isObject(value) && Object.keys(value).length > 0) block(value, `${indent}  `, out)
  else if (isList(value) && value.length > 0) {
    out.push('\n')
    block(value, `${indent}  `, out)
  } else out.push(inline(value), '\n')
}

function entry(key: string, value: Json, indent: string, out: string[]): void {
  const name = scalar(key)
  if (name.length > simpleKeyLengthMax) out.push('? ', name, '\n', indent, ':')
  else out.push(name, ':')
  if (isObject(value) && Object.keys(value).length > 0) {
    out.push('\n')
    block(value, `${indent}  `, out)
  } else if (isList(value) && value.length > 0) {
    out.push('\n')
    block(value, indent, out)
  } else out.push(' ', inline(value), '\n')
}

/** A longer key has to say that it is one. */
const simpleKeyLengthMax = 1_000

function inline(value: Json): string {
  if (isList(value)) return '[]'
  if (isObject(value)) return '{}'
  return typeof value === 'string' ? scalar(value) : JSON.stringify(value)
}

const plain = /^[A-Za-z/][A-Za-z0-9_./-]*$/
/** What YAML 1.1 or 1.2 reads as a boolean or as nothing. */
const words = new Set(['true', 'false', 'yes', 'no', 'on', 'off', 'y', 'n', 'null'])

/** What some readers of YAML 1.1 take for a number without digits before its exponent. */
const exponent = /^e[-_0-9]+$/i

function scalar(text: string): string {
  const isText = plain.test(text) && !words.has(text.toLowerCase()) && !exponent.test(text)
  return isText ? text : JSON.stringify(text)
}
