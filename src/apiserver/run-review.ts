// Answers what somebody may do, and who somebody is. Nothing is stored.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
import { ApiError } from '../api/error.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../api/kind.ts'
import { parseObject } from '../api/parse.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import type { Identity } from '../world/http.ts'
import { type Attributes, authenticated, isMaster } from './authorize.ts'
import type { Body } from './decode.ts'
import type { Tokens } from './run-auth.ts'

export type Decide = (
  identity: Identity,
  asked: Attributes,
) => Promise<{ readonly allowed: boolean; readonly why: string }>

type AccessSpec = {
  readonly resourceAttributes?: {
    readonly verb?: string
    readonly group?: string
    readonly resource?: string
    readonly subresource?: string
    readonly namespace?: string
    readonly name?: string
  }
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string }
  readonly user?: string
  readonly uid?: string
  readonly groups?: readonly string[]
}

export async function review(
  kind: Kind,
  body: Body,
  namespace: string | undefined,
  identity: Identity,
  decide: Decide,
  tokens: Tokens,
): Promise<JsonObject> {
  const { object } = parseObject(kind, body.value, 'Ignore', body.duplicates)
  const spec = (object as KubeObject & { readonly spec?: unknown }).spec
  const answer = (status: JsonObject): JsonObject => ({
    kind: kind.kind,
    apiVersion: apiVersionOf(kind),
    metadata: { creationTimestamp: null, ...(namespace !== undefined && { namespace }) },
    ...(spec !== undefined && { spec: spec as Json }),
    status,
  })
  switch (kind.kind) {
    case 'SelfSubjectAccessReview':
      return answer(await access(spec as AccessSpec | undefined, identity, decide))
    case 'SubjectAccessReview':
    case 'LocalSubjectAccessReview': {
      const asked = (spec ?? {}) as AccessSpec
      if ((asked.user ?? '') === '' && (asked.groups ?? []).length === 0) {
        throw new ApiError(
          'BadRequest',
          'spec.user: Invalid value: "": at least one of user or group must be specified',
        )
      }
      if (kind.kind === 'LocalSubjectAccessReview' && asked.resourceAttributes?.namespace !== namespace) {
        throw new ApiError(
          'BadRequest',
          `spec.resourceAttributes.namespace: Invalid value: must match metadata.namespace`,
        )
      }
      return answer(await access(asked, { user: asked.user ?? '', groups: asked.groups ?? [] }, decide))
    }
    case 'SelfSubjectRulesReview':
      return answer(rules(identity))
    case 'SelfSubjectReview':
      return answer({ userInfo: userInfo(identity) })
    case 'TokenReview':
      return answer(await tokenReview((spec ?? {}) as { token?: string; audiences?: readonly string[] }, tokens))
    default:
      throw new ApiError('MethodNotAllowed', `${kind.plural} cannot be created here`)
  }
}

async function access(spec: AccessSpec | undefined, identity: Identity, decide: Decide): Promise<JsonObject> {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec ?? {}
  if ((resource === undefined) === (path === undefined)) {
    throw new ApiError(
      'BadRequest',
      'spec: exactly one of resourceAttributes and nonResourceAttributes must be specified',
    )
  }
  const asked: Attributes = path
    ? { kind: 'path', verb: path.verb ?? '', path: path.path ?? '' }
    : {
        kind: 'resource',
        verb: resource?.verb ?? '',
        group: resource?.group ?? '',
        resource: resource?.resource ?? '',
        subresource: resource?.subresource ?? '',
        namespace: resource?.namespace ?? '',
        name: resource?.name ?? '',
      }
  const { allowed, why } = await decide(identity, asked)
  return { allowed, ...(why !== '' && { reason: why }) }
}

function rules(identity: Identity): JsonObject {
  if (isMaster(identity)) {
    return {
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    }
  }
  const paths = [
    '/api',
    '/api/*',
    '/apis',
    '/apis/*',
    '/healthz',
    '/livez',
    '/openapi',
    '/openapi/*',
    '/readyz',
    '/version',
  ]
  return {
    resourceRules: [
      {
        verbs: ['create'],
        apiGroups: ['authorization.k8s.io'],
        resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      },
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
    ],
    nonResourceRules: identity.groups.includes(authenticated) ? [{ verbs: ['get'], nonResourceURLs: paths }] : [],
    // What an agent may do depends on the pods of its node, which no list of rules can say.
    incomplete: identity.groups.includes('system:nodes'),
  }
}

function userInfo(identity: Identity): JsonObject {
  const { user, uid, groups, extra } = identity
  return {
    username: user,
    ...(uid !== undefined && { uid }),
    groups,
    ...(extra && { extra: extra as unknown as Json }),
  }
}

async function tokenReview(
  spec: { token?: string; audiences?: readonly string[] },
  tokens: Tokens,
): Promise<JsonObject> {
  const audiences = spec.audiences ?? []
  const verified = await tokens.verify(spec.token ?? '', audiences.length > 0 ? audiences : undefined)
  if (verified === undefined)
    return { authenticated: false, error: 'the token is invalid, expired, or for another audience', user: {} }
  return { authenticated: true, user: userInfo(verified.identity), audiences: verified.audiences }
}
