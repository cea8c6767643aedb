// find and findAll (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-regex-library).
import { type Library, method } from '../../../lib/cel/env.ts'
import { regexCost, regexEstimate } from '../../../lib/cel/estimates.ts'
import { regexFor } from '../../../lib/cel/regex.ts'
import { int, list, string } from '../../../lib/cel/types.ts'
import { ArrayList, Failure, type Result, type Value } from '../../../lib/cel/values.ts'

function find(text: string, pattern: string): Result {
  const regex = regexFor(pattern)
  if (regex instanceof Failure) return regex
  const found = regex.find(text, 0)
  return found === undefined ? '' : text.slice(found.start, found.end)
}

/** Matches from left to right; an empty one right behind another does not count. A negative limit is none. */
function findAll(text: string, pattern: string, limit: number | bigint): Result {
  const regex = regexFor(pattern)
  if (regex instanceof Failure) return regex
  const matches: string[] = []
  let behind = -1
  for (let at = 0; at <= text.length && (limit < 0 || matches.length < limit); ) {
    const found = regex.find(text, at)
    if (found === undefined) break
    const { start, end } = found
    if (end > start || start !== behind) matches.push(text.slice(start, end))
    behind = end
    at = end > start ? end : end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1)
  }
  return new ArrayList(matches)
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
