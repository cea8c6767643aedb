// Expressions of admission: ValidatingAdmissionPolicy, match conditions of webhooks. Objects are dyn there, as upstream
// has it, so that one policy serves many kinds; the request and the namespace have types
// (apiserver/pkg/admission/plugin/cel; https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/).
import { compile, environment, type Program } from '../../lib/cel/cel.ts'
import type { Variables } from '../../lib/cel/interpret.ts'
import {
  bool,
  dyn,
  formatType,
  int,
  list,
  map,
  type ObjectType,
  sameType,
  string,
  type Type,
  timestamp,
} from '../../lib/cel/types.ts'
import { Failure, type Result } from '../../lib/cel/values.ts'
import type { Json } from '../schema.ts'
import { kubernetesLibraries } from './library/all.ts'
import {
  type Authorize,
  authorizerType,
  authorizerValue,
  type ResourceFields,
  resourceCheckType,
  resourceValue,
} from './library/authorizer.ts'
import { LazyFields, untyped } from './untyped.ts'

export type AdmissionOptions = {
  /** Whether params, and authorizer with authorizer.requestResource, may be used. */
  readonly params: boolean
  readonly authorizer: boolean
  /** The types of what stands before this expression in spec.variables; without it `variables` may not be used. */
  readonly variables?: Readonly<Record<string, Type>>
  /** Where they are known: of object and oldObject, and of params. */
  readonly objectType?: Type
  readonly paramsType?: Type
  /** What the expression may give; without it, anything. */
  readonly returns?: readonly Type[]
}

export type CompiledAdmission =
  | { readonly kind: 'ok'; readonly program: Program }
  /** `detail` is what the error of the field says: "compilation failed: ERROR: <input>:1:6: ...". */
  | { readonly kind: 'refused'; readonly detail: string }

/** Compiles an expression. Evaluate it with `program.evaluate(admissionVariables(...), { costLimit })`. */
export function compileAdmission(expression: string, options: AdmissionOptions): CompiledAdmission {
  const compiled = compile(expression, environment(declarations(options), kubernetesLibraries))
  if (compiled.kind === 'refused') return { kind: 'refused', detail: `compilation failed: ${compiled.message}` }
  const { program } = compiled
  const { returns } = options
  if (returns === undefined || returns.some(type => sameType(type, program.type))) return { kind: 'ok', program }
  const names = returns.map(type => (type.kind === 'null' ? 'null_type' : formatType(type)))
  const what = names.length === 1 ? `must evaluate to ${names[0]}` : `must evaluate to one of [${names.join(' ')}]`
  return { kind: 'refused', detail: what }
}

/** What the compiler finds wrong with an expression, in its own words; its type. */
export function checkAdmission(
  expression: string,
  options: AdmissionOptions,
): { readonly type: Type; readonly issues: string | undefined } {
  const compiled = compile(expression, environment(declarations(options), kubernetesLibraries))
  if (compiled.kind === 'ok') return { type: compiled.program.type, issues: undefined }
  return { type: dyn, issues: compiled.message }
}

function declarations(options: AdmissionOptions): Readonly<Record<string, Type>> {
  return {
    object: options.objectType ?? dyn,
    oldObject: options.objectType ?? dyn,
    request: requestType,
    namespaceObject: namespaceType,
    ...(options.params && { params: options.paramsType ?? dyn }),
    ...(options.authorizer && { authorizer: authorizerType, 'authorizer.requestResource': resourceCheckType }),
    ...(options.variables && { variables: objectOf('kubernetes.variables', options.variables) }),
  }
}

function objectOf(name: string, fields: Readonly<Record<string, Type>>): ObjectType {
  return { kind: 'object', name, field: field => (Object.hasOwn(fields, field) ? fields[field] : undefined) }
}

const groupVersionKind = objectOf('kubernetes.GroupVersionKind', { group: string, version: string, kind: string })
const groupVersionResource = objectOf('kubernetes.GroupVersionResource', {
  group: string,
  version: string,
  resource: string,
})

const requestType = objectOf('kubernetes.AdmissionRequest', {
  kind: groupVersionKind,
  resource: groupVersionResource,
  subResource: string,
  requestKind: groupVersionKind,
  requestResource: groupVersionResource,
  requestSubResource: string,
  name: string,
  namespace: string,
  operation: string,
  userInfo: objectOf('kubernetes.UserInfo', {
    username: string,
    uid: string,
    groups: list(string),
    extra: map(string, list(string)),
  }),
  dryRun: bool,
  options: dyn,
})

const namespaceType = objectOf('kubernetes.Namespace', {
  metadata: objectOf('kubernetes.NamespaceMetadata', {
    name: string,
    generateName: string,
    namespace: string,
    labels: map(string, string),
    annotations: map(string, string),
    UID: string,
    creationTimestamp: timestamp,
    deletionGracePeriodSeconds: int,
    deletionTimestamp: timestamp,
    generation: int,
    resourceVersion: string,
    finalizers: list(string),
  }),
  spec: objectOf('kubernetes.NamespaceSpec', { finalizers: list(string) }),
  status: objectOf('kubernetes.NamespaceStatus', {
    conditions: list(
      objectOf('kubernetes.NamespaceCondition', {
        status: string,
        type: string,
        lastTransitionTime: timestamp,
        message: string,
        reason: string,
      }),
    ),
    phase: string,
  }),
})

/** What expressions about one request read. Objects are JSON as they were sent or stored; null where there is none. */
export type AdmissionInput = {
  readonly object: Json
  readonly oldObject: Json
  /** An AdmissionRequest without uid, object and oldObject. */
  readonly request: Json
  readonly namespaceObject: Json
  readonly params?: Json
  readonly authorizer?: { readonly authorize: Authorize; readonly requestResource: ResourceFields }
  /** Each is asked once, when it is first read. A failure is the error of who reads it. */
  readonly variables?: Readonly<Record<string, () => Result>>
}

/** The variables of one request, for any number of expressions. */
export function admissionVariables(input: AdmissionInput): Variables {
  const { authorizer } = input
  return {
    object: untyped(input.object),
    oldObject: untyped(input.oldObject),
    request: untyped(input.request),
    namespaceObject: untyped(input.namespaceObject),
    ...(input.params !== undefined && { params: untyped(input.params) }),
    ...(authorizer && {
      authorizer: authorizerValue(authorizer.authorize),
      'authorizer.requestResource': resourceValue(authorizer.authorize, authorizer.requestResource),
    }),
    ...(input.variables && { variables: new LazyFields(input.variables) }),
  }
}

/** What a variable is that failed, for those who read it. */
export const variableFailed = (name: string, error: string): Failure =>
  new Failure(`composited variable "${name}" fails to evaluate: ${error}`)
