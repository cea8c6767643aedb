// Errors that a client of the API sees, as Kubernetes' Status objects (meta/v1 Status).
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
import type { FieldError, Kind } from './kind.ts'
import { resourceOf } from './kind.ts'
import type { Json } from './schema.ts'

const codes = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  ServerTimeout: 500,
} as const

export type Reason = keyof typeof codes

export type StatusCause = { readonly reason: string; readonly message: string; readonly field?: string }
export type StatusDetails = {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly StatusCause[]
  readonly retryAfterSeconds?: number
}

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly reason: Reason
  readonly details: StatusDetails | undefined
  constructor(reason: Reason, message: string, details?: StatusDetails, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
    this.details = details
  }
  get code(): number {
    return codes[this.reason]
  }
}

/** A refusal in the words of somebody outside, such as a webhook: its Status with whatever code and reason it says. */
export class OutsideRefusal extends ApiError {
  readonly status: { readonly [key: string]: Json } & { readonly code: number; readonly message: string }
  constructor(status: OutsideRefusal['status']) {
    super('Forbidden', status.message, status['details'] as StatusDetails | undefined)
    this.status = status
  }
  override get code(): number {
    return this.status.code
  }
}

/** The error that a Status stands for. */
export function errorOf(status: {
  readonly code?: number
  readonly reason?: string
  readonly message: string
  readonly details?: StatusDetails
}): ApiError {
  const { code, reason = '', message, details } = status
  const known = (codes as Readonly<Record<string, number>>)[reason]
  if (known !== undefined && (code === undefined || code === known)) {
    return new ApiError(reason as Reason, message, details)
  }
  return new OutsideRefusal({ ...(status as OutsideRefusal['status']), code: code ?? 500 })
}

/** The Status object of an error, as it stands in an answer's body or in a watch's ERROR event. */
export function statusOf(error: ApiError): { readonly [key: string]: Json } {
  if (error instanceof OutsideRefusal) return error.status
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(error.details && { details: JSON.parse(JSON.stringify(error.details)) as Json }),
    code: error.code,
  }
}

function detailsOf(kind: Kind, name: string): StatusDetails {
  return { name, ...(kind.group !== '' && { group: kind.group }), kind: kind.plural }
}

export function notFound(kind: Kind, name: string): ApiError {
  return new ApiError('NotFound', `${resourceOf(kind)} "${name}" not found`, detailsOf(kind, name))
}

export function alreadyExists(kind: Kind, name: string): ApiError {
  return new ApiError('AlreadyExists', `${resourceOf(kind)} "${name}" already exists`, detailsOf(kind, name))
}

export function conflict(kind: Kind, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${resourceOf(kind)} "${name}": ${why}`
  return new ApiError('Conflict', message, detailsOf(kind, name))
}

/** 422 with one cause per field, in the words kubectl prints: The Pod "x" is invalid: spec.containers: Required value. */
export function invalid(kind: Kind, name: string, errors: readonly FieldError[]): ApiError {
  return invalidOf(kind, name, errors)
}

/** Who has made more mistakes in one object reads no further, and the answer to a large body must not be larger. */
const shownCountMax = 256

/** The same of what is no kind that is served: the options of a request. */
export function invalidOf(
  what: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): ApiError {
  const shown = errors.slice(0, shownCountMax)
  const lines = shown.map(error => `${error.field}: ${error.message}`)
  if (shown.length < errors.length) lines.push(`and ${errors.length - shown.length} more`)
  const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`
  const title = what.group === '' ? what.kind : `${what.kind}.${what.group}`
  return new ApiError('Invalid', `${title} "${name}" is invalid: ${list}`, {
    ...(name !== '' && { name }),
    ...(what.group !== '' && { group: what.group }),
    kind: what.kind,
    causes: shown.map(({ reason, message, field }) => ({ reason, message, field })),
  })
}
