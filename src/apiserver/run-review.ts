// Answers what somebody may do, and who somebody is. Nothing is stored.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
import { ApiError, invalid } from '../api/error.ts'
import { invalidValue } from '../api/field.ts'
import { apiVersionOf, type FieldError, type Kind, type KubeObject } from '../api/kind.ts'
import { parseObject } from '../api/parse.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import type { ResourceAttributes, SubjectAccessReviewSpec } from '../api/types/authorization.ts'
import type { Identity } from '../world/http.ts'
import type { Attributes } from './authorize.ts'
import type { Body } from './decode.ts'
import type { Tokens } from './run-auth.ts'
import type { Authorizer } from './run-authorize.ts'

type AccessSpec = Partial<SubjectAccessReviewSpec>

export async function review(
  kind: Kind,
  body: Body,
  namespace: string | undefined,
  identity: Identity,
  authorizer: Authorizer,
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
    case 'SelfSubjectAccessReview': {
      const asked = (spec ?? {}) as AccessSpec
      refuse(kind, attributeErrors(asked))
      return answer(await access(asked, identity, authorizer))
    }
    case 'SubjectAccessReview':
    case 'LocalSubjectAccessReview': {
      const asked = (spec ?? {}) as AccessSpec
      const isLocal = kind.kind === 'LocalSubjectAccessReview'
      refuse(kind, [
        ...attributeErrors(asked),
        ...subjectErrors(asked),
        ...(isLocal ? localErrors(asked, namespace) : []),
      ])
      return answer(await access(asked, subjectOf(asked), authorizer))
    }
    case 'SelfSubjectRulesReview':
      return answer(await rules((spec ?? {}) as { readonly namespace?: string }, identity, authorizer))
    case 'SelfSubjectReview':
      return answer({ userInfo: userInfo(identity) })
    case 'TokenReview':
      return answer(await tokenReview((spec ?? {}) as { token?: string; audiences?: readonly string[] }, tokens))
    default:
      throw new ApiError('MethodNotAllowed', `${kind.plural} cannot be created here`)
  }
}

function refuse(kind: Kind, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(kind, '', errors)
}

function attributeErrors({ resourceAttributes, nonResourceAttributes }: AccessSpec): readonly FieldError[] {
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    const why = 'cannot be specified in combination with resourceAttributes'
    return [invalidValue('spec.nonResourceAttributes', nonResourceAttributes, why)]
  }
  if (resourceAttributes === undefined && nonResourceAttributes === undefined) {
    const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified'
    return [invalidValue('spec.resourceAttributes', null, why)]
  }
  return []
}

function subjectErrors({ user = '', groups = [] }: AccessSpec): readonly FieldError[] {
  return user === '' && groups.length === 0
    ? [invalidValue('spec.user', '', 'at least one of user or group must be specified')]
    : []
}

function localErrors(spec: AccessSpec, namespace: string | undefined): readonly FieldError[] {
  const asked = spec.resourceAttributes?.namespace ?? ''
  if (spec.nonResourceAttributes !== undefined) {
    return [
      invalidValue('spec.nonResourceAttributes', spec.nonResourceAttributes, 'disallowed on this kind of request'),
    ]
  }
  return asked === namespace
    ? []
    : [invalidValue('spec.resourceAttributes.namespace', asked, 'must match metadata.namespace')]
}

function subjectOf({ user = '', uid = '', groups = [], extra }: AccessSpec): Identity {
  return { user, groups, ...(uid !== '' && { uid }), ...(extra && { extra }) }
}

function attributesOf({ resourceAttributes: resource, nonResourceAttributes: path }: AccessSpec): Attributes {
  if (path !== undefined) return { kind: 'path', verb: path.verb ?? '', path: path.path ?? '' }
  const { verb = '', group = '', resource: plural = '', subresource = '', namespace = '', name = '' } = resource ?? {}
  const fieldSelector = resource?.fieldSelector && selectorOf(resource.fieldSelector)
  return {
    kind: 'resource',
    verb,
    group,
    resource: plural,
    subresource,
    namespace,
    name,
    ...(fieldSelector !== undefined && { fieldSelector }),
  }
}

/** As text; only what says "this value" narrows anything for those who are asked. */
function selectorOf({ rawSelector, requirements = [] }: NonNullable<ResourceAttributes['fieldSelector']>): string {
  if (rawSelector !== undefined && rawSelector !== '') return rawSelector
  return requirements
    .filter(({ operator, values = [] }) => operator === 'In' && values.length === 1)
    .map(({ key, values = [] }) => `${key}=${values[0]}`)
    .join(',')
}

async function access(spec: AccessSpec, identity: Identity, authorizer: Authorizer): Promise<JsonObject> {
  const { allowed, why } = await authorizer.decide(identity, attributesOf(spec))
  return { allowed, ...(why !== '' && { reason: why }) }
}

async function rules(
  { namespace = '' }: { readonly namespace?: string },
  identity: Identity,
  authorizer: Authorizer,
): Promise<JsonObject> {
  if (namespace === '') throw new ApiError('BadRequest', 'no namespace on request')
  const { rules: all, errors, incomplete } = await authorizer.rulesFor(identity, namespace)
  const resourceRules = all.filter(({ resources = [] }) => resources.length > 0)
  const nonResourceRules = all.filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0)
  const said = [...errors, ...(incomplete ? ['node authorizer does not support user rule resolution'] : [])]
  return {
    resourceRules: resourceRules as unknown as Json,
    nonResourceRules: nonResourceRules as unknown as Json,
    incomplete: said.length > 0,
    ...(said.length > 0 && { evaluationError: said.join(', ') }),
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
