// The rules in CEL that a schema carries (x-kubernetes-validations): whether they are well formed and cheap enough, and
// what they say of an object. Pure; api/cel/rules.ts compiles and runs each. Messages and limits are upstream's
// (apiextensions-apiserver pkg/apiserver/schema/cel/validation.go).
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
import { parseJsonPath } from '../../lib/jsonpath.ts'
import { type Declaration, declare } from '../cel/declare.ts'
import { estimatedDefinitionCostMax, estimatedRuleCostMax, overBudget, ruleBudget } from '../cel/limits.ts'
import { compileMessage, compileRule, type Message, messageOf, type Rule } from '../cel/rules.ts'
import { equalJson } from '../equal.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { isList, isObject } from '../parse.ts'
import { pathOf } from '../reader.ts'
import type { Json } from '../schema.ts'
import type { JsonSchemaProps, ValidationRule } from '../types/jsonschema.ts'
import { additionalOf, child, isEmbedded, itemsOf, keyed, propertyOf } from './schema.ts'
import { correlated } from './validate.ts'

type Place = {
  readonly isRoot: boolean
  /** How often the schema can occur in one object; undefined: nothing bounds that. */
  readonly countMax: number | undefined
  /** The schema within which an old value cannot be told from others. */
  readonly uncorrelated: string | undefined
}

type Bill = { total: number }

/** All that is wrong with the rules of a schema, which itself is well formed. */
export function validateRules(schema: JsonSchemaProps, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const bill: Bill = { total: 0 }
  walk(schema, path, { isRoot: true, countMax: 1, uncorrelated: undefined }, bill, errors)
  const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema'
  const over = overBudget(what, bill.total, estimatedDefinitionCostMax)
  return over === undefined ? errors : [...errors, forbidden(path, over)]
}

function walk(schema: JsonSchemaProps, path: string, place: Place, bill: Bill, errors: FieldError[]): void {
  const rules = schema['x-kubernetes-validations'] ?? []
  const at = child(path, 'x-kubernetes-validations')
  const malformed = rules.flatMap((rule, i) => validateRule(rule, schema, `${at}[${i}]`))
  errors.push(...malformed)
  const declaration = rules.length > 0 && malformed.length === 0 ? declare(schema, place.isRoot) : undefined
  for (const [i, rule] of declaration ? rules.entries() : []) {
    if (declaration) compiled(rule, declaration, `${at}[${i}]`, place, bill, errors)
  }
  const times = (count: number | undefined) =>
    place.countMax === undefined || count === undefined ? undefined : place.countMax * count
  const items = itemsOf(schema)
  if (items) {
    const isMap = schema['x-kubernetes-list-type'] === 'map'
    const uncorrelated = place.uncorrelated ?? (isMap ? undefined : path)
    const there = { isRoot: isEmbedded(items), countMax: times(schema.maxItems), uncorrelated }
    walk(items, child(path, 'items'), there, bill, errors)
  }
  const isAtomic = schema['x-kubernetes-map-type'] === 'atomic'
  const inMap = { ...place, uncorrelated: place.uncorrelated ?? (isAtomic ? path : undefined) }
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    walk(below, keyed(child(path, 'properties'), name), { ...inMap, isRoot: isEmbedded(below) }, bill, errors)
  }
  const additional = additionalOf(schema)
  if (additional) {
    const there = { ...place, isRoot: isEmbedded(additional), countMax: times(schema.maxProperties) }
    walk(additional, child(path, 'additionalProperties'), there, bill, errors)
  }
}

function compiled(
  rule: ValidationRule,
  declaration: Declaration,
  path: string,
  place: Place,
  bill: Bill,
  errors: FieldError[],
): void {
  const made = compileRule(declaration, place.isRoot, rule)
  if (made.kind === 'refused') {
    errors.push(invalidValue(`${path}.rule`, rule, made.detail))
    return
  }
  const times = place.countMax ?? made.rule.occurrencesMax
  const spend = (costMax: number, name: 'rule' | 'messageExpression') => {
    const cost = costMax === 0 ? 0 : costMax * times
    bill.total += cost
    const over = overBudget(`estimated ${name} cost`, cost, estimatedRuleCostMax)
    if (over !== undefined) errors.push(forbidden(`${path}.${name}`, over))
  }
  spend(made.rule.costMax, 'rule')
  if (rule.messageExpression) {
    const message = compileMessage(declaration, place.isRoot, rule)
    if (message.kind === 'refused') errors.push(invalidValue(`${path}.messageExpression`, rule, message.detail))
    else spend(message.message.costMax, 'messageExpression')
  }
  if (made.rule.transition && place.uncorrelated !== undefined) {
    const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelated}`
    errors.push(invalidValue(`${path}.rule`, rule.rule, why))
  }
  if (!made.rule.transition && rule.optionalOldSelf !== undefined) {
    const why = 'may not be set if oldSelf is not used in rule'
    errors.push(invalidValue(`${path}.optionalOldSelf`, rule.optionalOldSelf, why))
  }
}

const reasons = ['FieldValueRequired', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueDuplicate']
const hasLineBreak = (text: string): boolean => /[\n\r]/.test(text)

function validateRule(rule: ValidationRule, schema: JsonSchemaProps, path: string): readonly FieldError[] {
  const { message, messageExpression, reason, fieldPath } = rule
  const errors: FieldError[] = []
  const text = (message ?? '').trim()
  if (rule.rule.trim() === '') errors.push(requiredValue(`${path}.rule`, 'rule is not specified'))
  else if (message && text === '') {
    errors.push(invalidValue(`${path}.message`, message, 'message must be non-empty if specified'))
  } else if (hasLineBreak(text)) {
    errors.push(invalidValue(`${path}.message`, message, 'message must not contain line breaks'))
  } else if (hasLineBreak(rule.rule.trim()) && text === '') {
    errors.push(requiredValue(`${path}.message`, 'message must be specified if rule contains line breaks'))
  }
  if (messageExpression && messageExpression.trim() === '') {
    const why = 'messageExpression must be non-empty if specified'
    errors.push(requiredValue(`${path}.messageExpression`, why))
  }
  if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(`${path}.reason`, reason, reasons))
  if (fieldPath && fieldPath.trim() === '') {
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must be non-empty if specified'))
  } else if (fieldPath && hasLineBreak(fieldPath)) {
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must not contain line breaks'))
  } else if (fieldPath && !isFieldOf(schema, fieldPath.trim())) {
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must be a valid path'))
  }
  return errors
}

/** Names alone lead to a field, of properties and of maps: `.spec.labels['a.b']`. */
function isFieldOf(schema: JsonSchemaProps, fieldPath: string): boolean {
  const steps = /^[.[]/.test(fieldPath) ? parseJsonPath(fieldPath) : undefined
  if (steps === undefined) return false
  let at: JsonSchemaProps | undefined = schema
  for (const step of steps) {
    if (at === undefined || step.kind !== 'field') return false
    at = propertyOf(at, step.name) ?? additionalOf(at)
  }
  return at !== undefined
}

/** A rule that is ready to run. */
type Ready = { readonly rule: ValidationRule; readonly run: Rule; readonly message: Message | undefined }

/** The rules of a schema and of what lies below; undefined where there are none at all. */
export type Rules = {
  readonly schema: JsonSchemaProps
  readonly own: readonly Ready[]
  readonly properties: ReadonlyMap<string, Rules>
  readonly items: Rules | undefined
  readonly additional: Rules | undefined
}

/** Rules that do not compile are left out: a definition with one is refused as it is written. */
export function rulesOf(schema: JsonSchemaProps, isRoot = true): Rules | undefined {
  const given = schema['x-kubernetes-validations'] ?? []
  const declaration = given.length > 0 ? declare(schema, isRoot) : undefined
  const own = declaration ? given.flatMap(rule => readyOf(rule, declaration, isRoot)) : []
  const below = (one: JsonSchemaProps | undefined) => one && rulesOf(one, isEmbedded(one))
  const properties = new Map<string, Rules>()
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const rules = below(property)
    if (rules) properties.set(name, rules)
  }
  const items = below(itemsOf(schema))
  const additional = below(additionalOf(schema))
  const isEmpty = own.length === 0 && properties.size === 0 && items === undefined && additional === undefined
  return isEmpty ? undefined : { schema, own, properties, items, additional }
}

function readyOf(rule: ValidationRule, declaration: Declaration, isRoot: boolean): readonly Ready[] {
  const made = compileRule(declaration, isRoot, rule)
  if (made.kind === 'refused') return []
  const message = rule.messageExpression ? compileMessage(declaration, isRoot, rule) : undefined
  return [{ rule, run: made.rule, message: message?.kind === 'ok' ? message.message : undefined }]
}

type Run = { left: number; isOver: boolean; readonly errors: FieldError[] }

/** What the rules say of a value that its schema takes. */
export function checkRules(rules: Rules, value: Json, old: Json | undefined): readonly FieldError[] {
  const run: Run = { left: ruleBudget, isOver: false, errors: [] }
  descend(rules, value, old, '', run)
  return run.errors
}

function descend(rules: Rules, value: Json, old: Json | undefined, path: string, run: Run): void {
  if (run.isOver || value === null) return
  for (const ready of rules.own) if (!run.isOver) apply(ready, rules.schema, value, old, path, run)
  if (isList(value) && rules.items) {
    const before = correlated(rules.schema, old)
    for (const [i, item] of value.entries()) descend(rules.items, item, before(item), `${path}[${i}]`, run)
  }
  if (!isObject(value)) return
  const isAtomic = rules.schema['x-kubernetes-map-type'] === 'atomic'
  const before = isObject(old) && !isAtomic ? old : {}
  for (const [key, item] of Object.entries(value)) {
    const below = rules.properties.get(key) ?? (rules.schema.properties?.[key] ? undefined : rules.additional)
    const was = Object.hasOwn(before, key) ? before[key] : undefined
    if (below) descend(below, item, was, pathOf(path, key), run)
  }
}

const outOfBudget = 'validation failed due to running out of cost budget, no further validation rules will be run'

function apply(
  { rule, run: compiledRule, message }: Ready,
  schema: JsonSchemaProps,
  value: Json,
  old: Json | undefined,
  path: string,
  run: Run,
): void {
  if (compiledRule.transition) {
    if (old === undefined && rule.optionalOldSelf !== true) return
    // What did not change is held against what it was alone, not against what is asked of it now.
  } else if (old !== undefined && equalJson(old, value)) return
  const spend = (cost: number) => {
    run.left -= cost
    if (run.left >= 0) return true
    run.errors.push(invalidValue(path, schema.type, outOfBudget))
    run.isOver = true
    return false
  }
  const outcome = compiledRule.evaluate(value, old)
  if (!spend(outcome.cost) || outcome.kind === 'held') return
  const at = rule.fieldPath ? `${path}${normalized(rule.fieldPath, path)}` : path
  if (outcome.kind === 'failed') {
    run.errors.push(invalidValue(at, schema.type, outcome.detail))
    run.isOver ||= outcome.final
    return
  }
  const made = message?.evaluate(value, old)
  if (made && !spend(made.cost)) return
  run.errors.push(violation(rule, at, value, made?.message ?? messageOf(rule)))
}

/** `.spec['a.b']` under a path: a name in brackets stands there without its quotes. */
function normalized(fieldPath: string, path: string): string {
  const text = fieldPath.trim().replace(/\['([^']*)'\]/g, '[$1]')
  return path === '' ? text.replace(/^\./, '') : text
}

function violation({ reason }: ValidationRule, field: string, value: Json, detail: string): FieldError {
  switch (reason) {
    case 'FieldValueForbidden':
      return forbidden(field, detail)
    case 'FieldValueRequired':
      return requiredValue(field, detail)
    case 'FieldValueDuplicate':
      return duplicateValue(field, value)
    default:
      // A whole object is not shown.
      if (typeof value === 'object') return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${detail}` }
      return invalidValue(field, value, detail)
  }
}

const blocking: ReadonlySet<FieldError['reason']> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
])

/** Why rules are not asked about a value that its schema does not take; undefined: they can be. */
export function blocked(errors: readonly FieldError[]): FieldError | undefined {
  if (!errors.some(({ reason }) => blocking.has(reason))) return undefined
  const why =
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation'
  return invalidValue('<nil>', null, why)
}
