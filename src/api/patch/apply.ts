// Server-side apply.
import { ApiError } from '../error.ts'
import type { Kind, KubeObject } from '../kind.ts'

export type ApplyOptions = {
  readonly manager: string
  readonly force: boolean
  readonly nowMs: number
  readonly subresource?: string
}

export function applyPatch<T extends KubeObject>(
  _kind: Kind<T>,
  _live: T | undefined,
  _applied: T,
  _options: ApplyOptions,
): T {
  throw new ApiError('UnsupportedMediaType', 'server-side apply is not served yet')
}

export function trackUpdate<T extends KubeObject>(
  _kind: Kind<T>,
  _old: T | undefined,
  next: T,
  _options: Omit<ApplyOptions, 'force'>,
): T {
  return next
}
