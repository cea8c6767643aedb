// Questions about access: authorizer.group('').resource('pods').namespace('x').check('list').allowed()
// (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library). The answers come from a function.
import { type Library, method, type Overload } from '../../../lib/cel/env.ts'
import { fixed } from '../../../lib/cel/estimates.ts'
import { bool, opaque, string, type Type } from '../../../lib/cel/types.ts'
import { Failure, Opaque, type Result } from '../../../lib/cel/values.ts'
import { dnsLabel, dnsSubdomain } from '../../names.ts'

/** Who asks: whoever sent the request, or a service account. */
export type Subject =
  | { readonly kind: 'requester' }
  | { readonly kind: 'serviceAccount'; readonly namespace: string; readonly name: string }

export type AccessQuestion = { readonly subject: Subject; readonly verb: string } & Asked

type Asked = { readonly kind: 'path'; readonly path: string } | ({ readonly kind: 'resource' } & ResourceFields)

/** '' where nothing was said. */
export type ResourceFields = {
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly fieldSelector: string
  readonly labelSelector: string
}

export type AccessAnswer = { readonly allowed: boolean; readonly reason: string; readonly error?: string }
export type Authorize = (question: AccessQuestion) => AccessAnswer

const named = (name: string) => `kubernetes.authorization.${name}`
export const authorizerType: Type = opaque(named('Authorizer'))
export const resourceCheckType: Type = opaque(named('ResourceCheck'))
const pathCheckType = opaque(named('PathCheck'))
const groupCheckType = opaque(named('GroupCheck'))
const decisionType = opaque(named('Decision'))

/** What these values hold is not compared: each equals itself alone. */
class Holder<T> extends Opaque {
  override readonly typeName: string
  readonly held: T
  constructor(type: string, held: T) {
    super()
    this.typeName = named(type)
    this.held = held
  }
  override equals(other: Opaque): boolean {
    return other === this
  }
}

type Asking = { readonly authorize: Authorize; readonly subject: Subject }
type Group = Asking & { readonly group: string }
type Path = Asking & { readonly path: string }
type Resource = Asking & { readonly fields: ResourceFields }

export const authorizerValue = (authorize: Authorize): Opaque =>
  new Holder<Asking>('Authorizer', { authorize, subject: { kind: 'requester' } })

/** authorizer.requestResource: the resource of the request itself. */
export const resourceValue = (authorize: Authorize, fields: ResourceFields): Opaque =>
  new Holder<Resource>('ResourceCheck', { authorize, subject: { kind: 'requester' }, fields })

function serviceAccount({ held }: Holder<Asking>, namespace: string, name: string): Result {
  if (dnsSubdomain(name) !== undefined) return new Failure('Invalid service account name')
  if (dnsLabel(namespace) !== undefined) return new Failure('Invalid service account namespace')
  return new Holder<Asking>('Authorizer', { ...held, subject: { kind: 'serviceAccount', namespace, name } })
}

const path = ({ held }: Holder<Asking>, text: string): Result =>
  text.trim() === '' ? new Failure('path must not be empty') : new Holder<Path>('PathCheck', { ...held, path: text })

const group = ({ held }: Holder<Asking>, text: string): Result =>
  new Holder<Group>('GroupCheck', { ...held, group: text })

function resource({ held }: Holder<Group>, name: string): Result {
  if (name.trim() === '') return new Failure('resource must not be empty')
  const unsaid = { subresource: '', namespace: '', name: '', fieldSelector: '', labelSelector: '' }
  const { authorize, subject } = held
  return new Holder<Resource>('ResourceCheck', {
    authorize,
    subject,
    fields: { ...unsaid, group: held.group, resource: name },
  })
}

const setting = (id: string, field: keyof ResourceFields): Overload =>
  method(
    id,
    [resourceCheckType, string],
    resourceCheckType,
    ({ held }: Holder<Resource>, text: string) =>
      new Holder<Resource>('ResourceCheck', { ...held, fields: { ...held.fields, [field]: text } }),
  )

const decision = (answer: AccessAnswer): Result => new Holder<AccessAnswer>('Decision', answer)

const checkPath = ({ held }: Holder<Path>, verb: string): Result =>
  decision(held.authorize({ kind: 'path', subject: held.subject, verb, path: held.path }))
const checkResource = ({ held }: Holder<Resource>, verb: string): Result =>
  decision(held.authorize({ kind: 'resource', subject: held.subject, verb, ...held.fields }))

/** So dear that an expression has two of them. */
const checkCost = { cost: () => 350_000, estimate: () => ({ cost: fixed(350_000) }) }

const answered = (id: string, type: Type, read: (answer: AccessAnswer) => Result): Overload =>
  method(id, [decisionType], type, ({ held }: Holder<AccessAnswer>) => read(held))

export const authorizerLibrary: Library = {
  path: [method('authorizer_path', [authorizerType, string], pathCheckType, path)],
  group: [method('authorizer_group', [authorizerType, string], groupCheckType, group)],
  serviceAccount: [
    method('authorizer_serviceaccount', [authorizerType, string, string], authorizerType, serviceAccount),
  ],
  resource: [method('groupcheck_resource', [groupCheckType, string], resourceCheckType, resource)],
  subresource: [setting('resourcecheck_subresource', 'subresource')],
  namespace: [setting('resourcecheck_namespace', 'namespace')],
  name: [setting('resourcecheck_name', 'name')],
  fieldSelector: [setting('authorizer_fieldselector', 'fieldSelector')],
  labelSelector: [setting('authorizer_labelselector', 'labelSelector')],
  check: [
    method('pathcheck_check', [pathCheckType, string], decisionType, checkPath, checkCost),
    method('resourcecheck_check', [resourceCheckType, string], decisionType, checkResource, checkCost),
  ],
  allowed: [answered('decision_allowed', bool, answer => answer.allowed)],
  reason: [answered('decision_reason', string, answer => answer.reason)],
  errored: [answered('decision_errored', bool, answer => answer.error !== undefined)],
  error: [answered('decision_error', string, answer => answer.error ?? '')],
}
