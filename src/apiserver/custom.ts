// What is different with requests for kinds that somebody defined. Pure.
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import type { HttpResponse } from '../world/http.ts'
import { warningHeaders } from './answer.ts'
import type { Annotation } from './notes.ts'
import type { Operation } from './operation.ts'
import { pathNotFound } from './route.ts'

/** Throws for what a custom resource does not take. */
export function checkCustom(kind: Kind, op: Pick<Operation, 'verb' | 'patch' | 'subresource'>): void {
  if (kind.custom === undefined) return
  if (op.subresource !== undefined && !kind.subresources.includes(op.subresource)) {
    throw new ApiError('NotFound', pathNotFound)
  }
  if (op.patch === 'strategic') {
    const accepted = ['json-patch+json', 'merge-patch+json', 'apply-patch+yaml'].map(type => `application/${type}`)
    const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
    throw new ApiError('UnsupportedMediaType', message)
  }
  if (op.verb === 'create' && kind.custom.isTerminating) {
    const message = 'create not allowed while custom resource definition is terminating'
    throw new ApiError('MethodNotAllowed', message, { group: kind.group, kind: kind.plural })
  }
}

const deprecationOf = (kind: Kind): string | undefined => kind.custom?.warning ?? kind.deprecation

/** What the audit event says of requests for a kind or version that is deprecated. */
export function deprecations(kind: Kind): readonly Annotation[] {
  return deprecationOf(kind) === undefined ? [] : [{ key: 'k8s.io/deprecated', value: 'true' }]
}

/** The answer, with a word on a kind or version that is deprecated. */
export function warned(kind: Kind, response: HttpResponse): HttpResponse {
  const text = deprecationOf(kind)
  if (text === undefined || (response.kind !== 'whole' && response.kind !== 'stream')) return response
  const { warning } = warningHeaders([text])
  const before = response.headers['warning']
  const all = before === undefined ? warning : `${warning}, ${before}`
  return { ...response, headers: { ...response.headers, ...(all !== undefined && { warning: all }) } }
}
