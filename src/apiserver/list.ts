// Which state a get or a list shows, and how a long list is continued. Pure.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions and #retrieving-large-results-sets-in-chunks
import { ApiError } from '../api/error.ts'
import type { Revision } from '../kv/store.ts'

/** `newest`: all that was committed before; `any`: what is here; `atLeast` and `exactly` a revision. */
export type Wanted =
  | { readonly kind: 'newest' }
  | { readonly kind: 'any' }
  | { readonly kind: 'atLeast'; readonly revision: Revision }
  | { readonly kind: 'exactly'; readonly revision: Revision }

export type ListQuery = {
  readonly limit: number
  readonly continue: string
  readonly resourceVersion: string
  readonly resourceVersionMatch: string
}

export function revisionOf(text: string): Revision {
  if (!/^\d{1,16}$/.test(text) || Number(text) > Number.MAX_SAFE_INTEGER) {
    throw new ApiError(
      'BadRequest',
      `Invalid value: ${JSON.stringify(text.slice(0, 64))}: resourceVersion must be a decimal number`,
    )
  }
  return Number(text)
}

export function wantedByGet(resourceVersion: string): Wanted {
  if (resourceVersion === '') return { kind: 'newest' }
  const revision = revisionOf(resourceVersion)
  return revision === 0 ? { kind: 'any' } : { kind: 'atLeast', revision }
}

/** Of a query that options.ts has found good. */
export function wantedByList(query: ListQuery): Wanted {
  const { resourceVersion, resourceVersionMatch: match } = query
  if (resourceVersion === '') return { kind: 'newest' }
  const revision = revisionOf(resourceVersion)
  if (query.continue !== '' && revision !== 0) {
    throw new ApiError('BadRequest', 'specifying resource version is not allowed when using continue')
  }
  if (match === 'Exact') return { kind: 'exactly', revision }
  if (revision === 0) return { kind: 'any' }
  // Without a word on it, a limit means exactly this revision, for clients older than resourceVersionMatch.
  return match === '' && query.limit > 0 ? { kind: 'exactly', revision } : { kind: 'atLeast', revision }
}

export type Token = {
  /** The range that is listed: a token is good for no other. */
  readonly prefix: string
  /** The last key given, without the prefix. */
  readonly after: string
  /** The revision of the first part; -1: the state of now, because that one is forgotten. */
  readonly revision: number
}

export function encodeToken(token: Token): string {
  const bytes = new TextEncoder().encode(JSON.stringify([1, token.revision, token.prefix, token.after]))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

const tokenLengthMax = 2_048

export function decodeToken(text: string, prefix: string): Token {
  const refuse = (cause?: unknown) =>
    new ApiError('BadRequest', 'continue key is not valid: it belongs to no list of this kind here', undefined, {
      cause,
    })
  if (text.length > tokenLengthMax) throw refuse()
  let fields: unknown
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, char => char.charCodeAt(0))
    fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw refuse(error)
  }
  if (!Array.isArray(fields)) throw refuse()
  const [version, revision, of, after] = fields as unknown[]
  const sound =
    version === 1 &&
    typeof revision === 'number' &&
    Number.isSafeInteger(revision) &&
    (revision > 0 || revision === -1) &&
    of === prefix &&
    typeof after === 'string' &&
    after !== ''
  if (!sound) throw refuse()
  return { prefix, after, revision }
}

/** 410 with a token that goes on in the state of now, after the same key. */
export class ContinueExpired extends ApiError {
  readonly continue: string
  constructor(token: Token) {
    super(
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    )
    this.continue = encodeToken({ ...token, revision: -1 })
  }
}

export function tooOld(revision: Revision, oldest: Revision): ApiError {
  return new ApiError('Expired', `too old resource version: ${revision} (${oldest})`)
}

/** 504 that clients know how to take: this peer has not seen that revision yet. */
export function tooLarge(asked: Revision, current: Revision): ApiError {
  return new ApiError('Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}
