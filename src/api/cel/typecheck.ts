// What is wrong with the expressions of a ValidatingAdmissionPolicy once it is known what the objects are that it matches:
// status.typeChecking. It only warns, for what a policy does never depends on it. Pure. After
// apiserver/pkg/admission/plugin/policy/validating/typechecking.go.
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking
import { dyn, type ObjectType, type Type } from '../../lib/cel/types.ts'
import { compareText } from '../../lib/sorted.ts'
import { apiVersionOf, type Kind } from '../kind.ts'
import type { CustomResourceDefinition } from '../kinds/customresourcedefinition.ts'
import type { ValidatingAdmissionPolicy } from '../kinds/validatingadmissionpolicy.ts'
import { objectMeta } from '../types/meta.ts'
import { checkAdmission } from './admission.ts'
import { typeOfSchema } from './builtin.ts'
import { declare } from './declare.ts'

/** One version of a kind, and what its objects are to CEL. */
export type Typed = Pick<Kind, 'group' | 'version' | 'kind' | 'plural' | 'singular'> & { type(): Type }

export type ExpressionWarning = { readonly fieldRef: string; readonly warning: string }

/** Of each rule only so many kinds are looked at. */
const kindCountMax = 10

export function builtInTypes(kinds: readonly Kind[]): readonly Typed[] {
  return kinds.map(kind => ({ ...kind, type: () => typeOfSchema(kind.schema) }))
}

export function customTypes(definitions: readonly CustomResourceDefinition[]): readonly Typed[] {
  return definitions.flatMap(({ spec }) =>
    spec.versions
      .filter(({ served }) => served)
      .map(({ name: version, schema }) => {
        const { kind, plural, singular } = spec.names
        const type = () => {
          const root = schema?.openAPIV3Schema
          const declared = root && declare(root, true, kind)?.type
          return declared?.kind === 'object' ? withMeta(declared) : dyn
        }
        return { group: spec.group, version, kind, plural, singular: singular ?? kind.toLowerCase(), type }
      }),
  )
}

/** The metadata is all there, whatever little of it a definition may name. */
function withMeta(type: ObjectType): ObjectType {
  return { ...type, field: name => (name === 'metadata' ? typeOfSchema(objectMeta) : type.field(name)) }
}

export function expressionWarnings(
  { spec }: ValidatingAdmissionPolicy,
  known: readonly Typed[],
): readonly ExpressionWarning[] {
  const { validations = [], variables = [], paramKind } = spec
  const param = known.find(one => one.kind === paramKind?.kind && apiVersionOf(one) === paramKind.apiVersion)
  const environments = matched(spec.matchConstraints?.resourceRules ?? [], known).map(one => {
    const options = {
      params: param !== undefined,
      authorizer: true,
      objectType: one.type(),
      ...(param !== undefined && { paramsType: param.type() }),
    }
    const types: Record<string, Type> = {}
    for (const { name, expression } of variables) {
      types[name] = checkAdmission(expression, { ...options, variables: { ...types } }).type
    }
    return { name: `${one.group}/${one.version}, Kind=${one.kind}`, options: { ...options, variables: types } }
  })
  const check = (fieldRef: string, expression: string): readonly ExpressionWarning[] => {
    const warnings = environments.flatMap(({ name, options }) => {
      const { issues } = checkAdmission(expression, options)
      return issues === undefined ? [] : [`${name}: ${issues}\n`]
    })
    return warnings.length === 0 ? [] : [{ fieldRef, warning: warnings.join('\n') }]
  }
  return validations.flatMap(({ expression, messageExpression = '' }, i) => [
    ...check(`spec.validations[${i}].expression`, expression),
    ...(messageExpression === '' ? [] : check(`spec.validations[${i}].messageExpression`, messageExpression)),
  ])
}

type Rules = NonNullable<NonNullable<ValidatingAdmissionPolicy['spec']['matchConstraints']>['resourceRules']>

/** A rule with a wildcard may mean anything, and a subresource something else: of those nothing is known. */
function matched(rules: Rules, known: readonly Typed[]): readonly Typed[] {
  const found = new Set<Typed>()
  for (const { apiGroups = [], apiVersions = [], resources = [] } of rules) {
    if ([...apiGroups, ...apiVersions].some(text => text.includes('*'))) continue
    const named = resources.filter(text => !/[*/]/.test(text)).toSorted(compareText)
    const all = apiGroups.toSorted(compareText).flatMap(group =>
      apiVersions.toSorted(compareText).flatMap(version =>
        named.flatMap(resource =>
          known.filter(
            one =>
              // Upstream looks for what is in no group in all of them: events are in two.
              (group === '' || one.group === group) &&
              one.version === version &&
              (one.plural === resource || one.singular === resource),
          ),
        ),
      ),
    )
    for (const one of all.slice(0, kindCountMax)) found.add(one)
  }
  const order = ({ group, version, kind }: Typed) => [group, version, kind]
  return [...found].toSorted((a, b) => {
    const [left, right] = [order(a), order(b)]
    return left.map((text, i) => compareText(text, right[i] ?? '')).find(sign => sign !== 0) ?? 0
  })
}
