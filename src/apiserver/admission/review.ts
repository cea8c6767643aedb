// The AdmissionReview that a webhook is sent, and what its answer means. Pure. The fields and the words of what is wrong
// with an answer are upstream's (k8s.io/apiserver/pkg/admission/plugin/webhook/request).

import { type ApiError, OutsideRefusal } from '../../api/error.ts'
import { type Kind, type KubeObject, resourceOf } from '../../api/kind.ts'
import { namespace as namespaceKind } from '../../api/kinds/namespace.ts'
import { isObject } from '../../api/parse.ts'
import type { Json, JsonObject } from '../../api/schema.ts'
import { parseExact } from '../../lib/json.ts'
import type { Identity } from '../../world/http.ts'
import { type Change, Unanswered } from './admission.ts'

export type ReviewVersion = 'v1' | 'v1beta1'

/** The newest that the webhook reads; it has named one of ours. */
export function versionFor(versions: readonly string[]): ReviewVersion {
  return versions.find((version): version is ReviewVersion => version === 'v1' || version === 'v1beta1') ?? 'v1'
}

const json = (object: KubeObject | undefined): Json => (object === undefined ? null : (object as unknown as Json))

/** `change` shows its objects in the form of `kind`; `asked` is the kind that the request named. */
export function reviewOf(change: Change, kind: Kind, asked: Kind, uid: string, version: ReviewVersion): JsonObject {
  const { objectKind, subresource, namespace = '', name } = change
  const kindOf = (form: Kind) => ({ group: form.group, version: form.version, kind: form.kind })
  const resourceOfKind = ({ group, version: of, plural }: Kind) => ({ group, version: of, resource: plural })
  const part = objectKind === change.kind ? undefined : objectKind
  const isNamespace = resourceOf(asked) === resourceOf(namespaceKind)
  const where = isNamespace ? name : namespace
  return {
    kind: 'AdmissionReview',
    apiVersion: `admission.k8s.io/${version}`,
    request: {
      uid,
      kind: kindOf(part ?? kind),
      resource: resourceOfKind(kind),
      ...(subresource !== undefined && { subResource: subresource }),
      requestKind: kindOf(part ?? asked),
      requestResource: resourceOfKind(asked),
      ...(subresource !== undefined && { requestSubResource: subresource }),
      ...(name !== '' && { name }),
      ...(where !== '' && { namespace: where }),
      operation: change.verb,
      userInfo: userOf(change.identity),
      object: json(change.object),
      oldObject: json(change.old),
      dryRun: change.dryRun,
      options: change.verb === 'CONNECT' ? null : change.options,
    },
  }
}

export function userOf({ user, uid, groups, extra }: Identity): JsonObject {
  return {
    username: user,
    ...(uid !== undefined && { uid }),
    ...(groups.length > 0 && { groups }),
    ...(extra !== undefined && Object.keys(extra).length > 0 && { extra }),
  }
}

/** How an object looks while it is being created: nobody has given it a uid or a made-up name yet. */
export function unborn(object: KubeObject, suffix: string): KubeObject {
  const { uid: _, creationTimestamp: __, name, ...rest } = object.metadata
  const { generateName = '' } = rest
  const isMade = generateName !== '' && name.startsWith(generateName.slice(0, 58)) && name.endsWith(suffix)
  const metadata = { ...(isMade ? {} : { name }), ...rest, creationTimestamp: null }
  return { ...object, metadata } as unknown as KubeObject
}

export type Reviewed = {
  readonly allowed: boolean
  /** As it came: see decodePatch. */
  readonly patch: Patch | undefined
  readonly status: JsonObject
  readonly warnings: readonly string[]
  readonly annotations: Readonly<Record<string, string>>
}

/** Throws an Error that says what is wrong with the answer. */
export function readReview(answer: unknown, uid: string, version: ReviewVersion, mutating: boolean): Reviewed {
  const review = isObject(answer) ? answer : {}
  const { response } = review
  if (!isObject(response)) throw new Error('webhook response was absent')
  if (version === 'v1') {
    if (response['uid'] !== uid) {
      throw new Error(`expected response.uid=${quoted(uid)}, got ${quoted(response['uid'] ?? '')}`)
    }
    const [apiVersion, kind] = [String(review['apiVersion'] ?? ''), String(review['kind'] ?? '')]
    if (apiVersion !== 'admission.k8s.io/v1' || kind !== 'AdmissionReview') {
      const got = `${apiVersion}, Kind=${kind}`
      throw new Error(`expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${got}`)
    }
  }
  const warnings = response['warnings']
  return {
    allowed: response['allowed'] === true,
    patch: patchIn(response, version, mutating),
    status: isObject(response['status']) ? response['status'] : {},
    warnings: Array.isArray(warnings) ? warnings.filter(text => typeof text === 'string') : [],
    annotations: textsIn(response['auditAnnotations']),
  }
}

function textsIn(value: Json | undefined): Readonly<Record<string, string>> {
  const entries = isObject(value) ? Object.entries(value) : []
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

type Patch = { readonly text: string; readonly type: string }

function patchIn(response: JsonObject, version: ReviewVersion, mutating: boolean): Patch | undefined {
  const { patch } = response
  const has = typeof patch === 'string' && patch !== ''
  // The older version never looked at the type, and took no notice of what judges want to change.
  if (version === 'v1beta1') return has && mutating ? { text: patch, type: 'JSONPatch' } : undefined
  const patchType = response['patchType'] ?? undefined
  if (!mutating) {
    if (has) throw new Error('validating webhook may not return response.patch')
    if (patchType !== undefined) throw new Error('validating webhook may not return response.patchType')
    return undefined
  }
  if (has && patchType === undefined) throw new Error('webhook returned response.patch but not response.patchType')
  if (!has && patchType !== undefined) throw new Error('webhook returned response.patchType but not response.patch')
  if (patchType === '') throw new Error('webhook returned invalid response.patchType of ""')
  return has ? { text: patch, type: String(patchType) } : undefined
}

/** The JSON Patch. Throws an Error that says what is wrong with it. */
export function decodePatch({ text, type }: Patch): readonly JsonObject[] {
  if (type !== 'JSONPatch') throw new Error(`unsupported patch type ${quoted(type)}`)
  let patch: unknown
  try {
    patch = parseExact(Buffer.from(text, 'base64').toString())
  } catch (error) {
    const why = (error as Error).message
    throw new Error(`received undecodable patch in webhook response: ${why}`, { cause: error })
  }
  if (patch === null) return []
  if (Array.isArray(patch) && patch.every(isObject)) return patch
  throw new Error('received undecodable patch in webhook response: it is no list of operations')
}

const quoted = (value: Json): string => JSON.stringify(String(value))

/** What the client is told when the webhook says no: its own status, with its name in front. */
export function refusalOf(webhook: string, said: JsonObject): ApiError {
  const denied = `admission webhook ${JSON.stringify(webhook)} denied the request`
  const { code, message, reason, details } = said
  const why = [message, reason].find(text => typeof text === 'string' && text !== '')
  return new OutsideRefusal({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: why === undefined ? `${denied} without explanation` : `${denied}: ${String(why)}`,
    ...(typeof reason === 'string' && reason !== '' && { reason }),
    ...(isObject(details) && { details }),
    code: typeof code === 'number' && Number.isInteger(code) && code >= 400 && code < 600 ? code : 400,
  })
}

export function callFailed(webhook: string, error: unknown): ApiError {
  const why = error instanceof Error ? error.message : String(error)
  const message = `failed calling webhook ${JSON.stringify(webhook)}: ${why}`
  const details = { causes: [{ reason: '', message }] }
  return new Unanswered('InternalError', `Internal error occurred: ${message}`, details, { cause: error })
}
