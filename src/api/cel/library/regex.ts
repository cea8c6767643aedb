// find and findAll (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-regex-library).
import { type Library, method } from '../../../lib/cel/env.ts'
import { regexCost, regexEstimate } from '../../../lib/cel/estimates.ts'
import { regexFor } from '../../../lib/cel/regex.ts'
import { int, list, string } from '../../../lib/cel/types.ts'
import { ArrayList, Failure, type Result, type Value } from '../../../lib/cel/values.ts'

function find(text: string, pattern: string): Result {
  const regex = regexFor(pattern)
  if (regex instanceof Failure) return regex
  const found = regex.find(text)
  if (found instanceof Failure) return found
  return found === undefined ? '' : text.slice(found.start, found.end)
}

/** A negative limit is none. */
function findAll(text: string, pattern: string, limit: number | bigint): Result {
  const regex = regexFor(pattern)
  if (regex instanceof Failure) return regex
  const found = regex.findAll(text, limit < 0 ? Number.POSITIVE_INFINITY : Number(limit))
  return found instanceof Failure ? found : new ArrayList(found.map(({ start, end }) => text.slice(start, end)))
}

const refuseLiteral = (value: Value): string | undefined =>
  typeof value === 'string' && regexFor(value) instanceof Failure ? 'invalid matches argument' : undefined

const costs = {
  cost: regexCost,
  estimate: (...[text, pattern]: Parameters<typeof regexEstimate>) => ({
    ...regexEstimate(text, pattern),
    size: { min: 0, max: text.size.max },
  }),
}

export const regexLibrary: Library = {
  find: [method('string_find_string', [string, string], string, find, { ...costs, refuseLiteral })],
  findAll: [
    method(
      'string_find_all_string',
      [string, string],
      list(string),
      (text: string, pattern: string) => findAll(text, pattern, -1),
      costs,
    ),
    method('string_find_all_string_int', [string, string, int], list(string), findAll, costs),
  ],
}
