// What is different with requests for kinds that somebody defined. Pure.
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import type { Notes } from './notes.ts'
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

/** Of every request for a kind or version that is deprecated, whatever becomes of it. */
export function noteDeprecation(kind: Kind, notes: Notes): void {
  const text = kind.custom?.warning ?? kind.deprecation
  if (text === undefined) return
  notes.annotate({ key: 'k8s.io/deprecated', value: 'true' })
  notes.warn(text)
}
