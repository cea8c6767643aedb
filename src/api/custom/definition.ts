// What is wrong with a CustomResourceDefinition, with upstream's paths and messages. Upstream looks at a form of it in which
// what all versions share stands once, so faults of a schema, of subresources, columns and selectable fields that are the
// same in all versions are told of spec.validation, spec.subresources and so on. Pure.
// Upstream: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go.
import { sameJson } from '../../lib/canonical.ts'
import { parseJsonPath } from '../../lib/jsonpath.ts'
import { equalJson } from '../equal.ts'
import { duplicateValue, forbidden, immutable, invalidValue, requiredValue, tooMany } from '../field.ts'
import type { FieldError } from '../kind.ts'
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
} from '../kinds/customresourcedefinition.ts'
import { dns1035Label, dnsSubdomain } from '../names.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { approvalAnnotation, approvalOf } from './approval.ts'
import { bundleFault } from './bundle.ts'
import { checkRules, rulesOf, validateRules } from './rules.ts'
import { additionalOf, child, isEmbedded, itemsOf, keyed, propertyOf } from './schema.ts'
import { validateKeywords, validateStructural } from './structural.ts'
import { validateValue } from './validate.ts'
import { pruneValue } from './values.ts'

export function validateDefinition(
  object: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
  subresource: string | undefined,
): readonly FieldError[] {
  const { spec, status } = object
  if (spec?.names === undefined || spec.versions === undefined) return []
  const accepted = validateNames(status?.acceptedNames, 'status.acceptedNames')
  if (subresource === 'status') return accepted
  return [
    ...validateName(object),
    ...validateApproval(object, old),
    ...validateSpec(spec, old?.spec),
    ...(old ? validateChange(object, old) : []),
    ...accepted,
    ...(old ? validateStored(object) : []),
  ]
}

function validateName({ metadata, spec }: CustomResourceDefinition): readonly FieldError[] {
  if (metadata.name === `${spec.names.plural}.${spec.group}`) return []
  return [invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group')]
}

/** Who changes something else need not mend what was let in before. */
function validateApproval(
  object: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
): readonly FieldError[] {
  const now = approvalOf(object)
  if (now === undefined || (old && approvalOf(old)?.state === now.state)) return []
  const path = `metadata.annotations[${approvalAnnotation}]`
  if (now.state === 'missing') return [requiredValue(path, now.message)]
  if (now.state !== 'invalid') return []
  return [invalidValue(path, object.metadata.annotations?.[approvalAnnotation], now.message)]
}

function labelled(path: string, text: string | undefined, prefix = ''): readonly FieldError[] {
  const wrong = text ? dns1035Label(prefix === '' ? text : text.toLowerCase()) : undefined
  return wrong === undefined ? [] : [invalidValue(path, text, `${prefix}${wrong}`)]
}

function validateNames(names: CustomResourceDefinitionNames | undefined, path: string): readonly FieldError[] {
  if (names === undefined) return []
  const { plural, singular, kind, listKind, shortNames = [], categories = [] } = names
  const mixed = 'may have mixed case, but should otherwise match: '
  return [
    ...labelled(`${path}.plural`, plural),
    ...labelled(`${path}.singular`, singular),
    ...labelled(`${path}.kind`, kind, mixed),
    ...labelled(`${path}.listKind`, listKind, mixed),
    ...shortNames.flatMap((name, i) => labelled(`${path}.shortNames[${i}]`, name)),
    ...(kind && kind === listKind
      ? [invalidValue(`${path}.listKind`, listKind, 'kind and listKind may not be the same')]
      : []),
    ...categories.flatMap((name, i) => labelled(`${path}.categories[${i}]`, name)),
  ]
}

function validateSpec(
  spec: CustomResourceDefinitionSpec,
  old: CustomResourceDefinitionSpec | undefined,
): readonly FieldError[] {
  const { group, versions } = spec
  const errors: FieldError[] = []
  if (group) {
    const wrong = dnsSubdomain(group)
    if (wrong !== undefined) errors.push(invalidValue('spec.group', group, wrong))
    else if (!group.includes('.')) {
      errors.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'))
    }
  }
  if (spec.preserveUnknownFields === true && old?.preserveUnknownFields !== true) {
    const why =
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead'
    errors.push(invalidValue('spec.preserveUnknownFields', true, why))
  }
  if (new Set(versions.map(({ name }) => name)).size < versions.length) {
    errors.push(invalidValue('spec.versions', versions, 'must contain unique version names'))
  }
  if (versions.filter(({ storage }) => storage).length !== 1) {
    errors.push(invalidValue('spec.versions', versions, 'must have exactly one version marked as storage version'))
  }
  errors.push(
    ...validateNames(spec.names, 'spec.names'),
    ...validateVersions(versions),
    ...validateConversion(spec, old),
  )
  return errors
}

/** Where upstream sees a part that all versions have the same of: once, at `top`. */
function parts<T>(
  versions: readonly CustomResourceDefinitionVersion[],
  part: (version: CustomResourceDefinitionVersion) => T | undefined,
  top: string,
  name: string,
): readonly { readonly value: T; readonly path: string; readonly of: readonly CustomResourceDefinitionVersion[] }[] {
  const values = versions.map(part)
  const first = values[0]
  if (first !== undefined && values.every(value => sameJson(value, first))) {
    return [{ value: first, path: `spec.${top}`, of: versions }]
  }
  return versions.flatMap((version, i) => {
    const value = values[i]
    return value === undefined ? [] : [{ value, path: `spec.versions[${i}].${name}`, of: [version] }]
  })
}

function validateVersions(versions: readonly CustomResourceDefinitionVersion[]): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, version] of versions.entries()) {
    const path = `spec.versions[${i}]`
    errors.push(...labelled(`${path}.name`, version.name))
    errors.push(
      ...warningFaults(version).map(why => invalidValue(`${path}.deprecationWarning`, version.deprecationWarning, why)),
    )
    if (version.schema?.openAPIV3Schema === undefined) {
      errors.push(requiredValue(`${path}.schema.openAPIV3Schema`, 'schemas are required'))
    }
  }
  for (const { value, path, of } of parts(versions, ({ schema }) => schema?.openAPIV3Schema, 'validation', 'schema')) {
    const hasStatus = of.some(({ subresources }) => subresources?.status !== undefined)
    errors.push(...validateSchema(value, `${path}.openAPIV3Schema`, hasStatus))
  }
  for (const { value, path } of parts(versions, each => each.subresources, 'subresources', 'subresources')) {
    errors.push(...validateScale(value, path))
  }
  const columns = 'additionalPrinterColumns'
  for (const { value, path } of parts(versions, each => each.additionalPrinterColumns, columns, columns)) {
    errors.push(...value.flatMap((column, i) => validateColumn(column, `${path}[${i}]`)))
  }
  for (const { value, path, of } of parts(
    versions,
    each => each.selectableFields,
    'selectableFields',
    'selectableFields',
  )) {
    for (const version of of) errors.push(...validateSelectable(value, version.schema?.openAPIV3Schema, path))
  }
  return errors
}

function warningFaults({ deprecated, deprecationWarning: text }: CustomResourceDefinitionVersion): readonly string[] {
  if (text === undefined) return []
  if (!deprecated) return ['can only be set for deprecated versions']
  return [
    ...(text.length > 256 ? ['must be <= 256 characters long'] : []),
    ...(text === '' ? ['must not be an empty string'] : []),
    ...(/\p{C}/u.test(text) ? ['must only contain printable UTF-8 characters'] : []),
  ]
}

/** Where /status is apart, nothing at the root may speak of both. */
const allowedAtRoot: Readonly<Partial<Record<keyof JsonSchemaProps, string>>> = {
  description: 'Description',
  type: 'Type',
  format: 'Format',
  title: 'Title',
  maximum: 'Maximum',
  exclusiveMaximum: 'ExclusiveMaximum',
  minimum: 'Minimum',
  exclusiveMinimum: 'ExclusiveMinimum',
  maxLength: 'MaxLength',
  minLength: 'MinLength',
  pattern: 'Pattern',
  maxItems: 'MaxItems',
  minItems: 'MinItems',
  uniqueItems: 'UniqueItems',
  multipleOf: 'MultipleOf',
  required: 'Required',
  items: 'Items',
  properties: 'Properties',
  externalDocs: 'ExternalDocs',
  example: 'Example',
  'x-kubernetes-preserve-unknown-fields': 'XPreserveUnknownFields',
  'x-kubernetes-validations': 'XValidations',
}

function validateSchema(schema: JsonSchemaProps, path: string, hasStatus: boolean): readonly FieldError[] {
  const errors: FieldError[] = []
  if (hasStatus && schema.type !== undefined && schema.type !== 'object') {
    const why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
    errors.push(invalidValue(child(path, 'type'), schema.type, why))
  }
  if (hasStatus && !Object.keys(schema).every(name => Object.hasOwn(allowedAtRoot, name))) {
    const list = Object.values(allowedAtRoot).join(' ')
    const why = `only [${list}] fields are allowed at the root of the schema if the status subresource is enabled`
    errors.push(invalidValue(path, schema, why))
  }
  if (schema.nullable) errors.push(forbidden(child(path, 'nullable'), 'nullable cannot be true at the root'))
  const structural = validateStructural(schema, path)
  const keywords = validateKeywords(schema, path)
  errors.push(...structural, ...keywords)
  // What a rule or a default means can be told only where the types are.
  if (errors.length === 0) errors.push(...validateDefaults(schema, path))
  if (errors.length === 0) errors.push(...validateRules(schema, path))
  if (errors.length === 0) errors.push(...validateRuledDefaults(schema, path, true))
  return errors
}

/** A default is held against the rules as if somebody had written it. */
function validateRuledDefaults(schema: JsonSchemaProps, path: string, isRoot: boolean): readonly FieldError[] {
  const errors: FieldError[] = []
  const rules = schema.default === undefined ? undefined : rulesOf(schema, isRoot)
  if (rules !== undefined && schema.default !== undefined) {
    const at = child(path, 'default')
    errors.push(...checkRules(rules, schema.default, undefined).map(error => under(at, error)))
  }
  const below = (one: JsonSchemaProps, where: string) => validateRuledDefaults(one, where, isEmbedded(one))
  const items = itemsOf(schema)
  if (items) errors.push(...below(items, child(path, 'items')))
  const additional = additionalOf(schema)
  if (additional) errors.push(...below(additional, child(path, 'additionalProperties')))
  for (const [name, one] of Object.entries(schema.properties ?? {})) {
    errors.push(...below(one, keyed(child(path, 'properties'), name)))
  }
  return errors
}

/** A default must be a value that the schema knows and takes. */
function validateDefaults(schema: JsonSchemaProps, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const { default: value } = schema
  if (value !== undefined) {
    const at = child(path, 'default')
    if (!equalJson(pruneValue(schema, value), value)) {
      errors.push(invalidValue(at, value, 'must not have unknown fields'))
    } else errors.push(...validateValue(schema, value, '', undefined).map(error => under(at, error)))
  }
  const items = itemsOf(schema)
  if (items) errors.push(...validateDefaults(items, child(path, 'items')))
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    errors.push(...validateDefaults(below, keyed(child(path, 'properties'), name)))
  }
  return errors
}

function under(path: string, error: FieldError): FieldError {
  if (error.field === '') return { ...error, field: path }
  return { ...error, field: error.field === '<nil>' ? path : `${path}.${error.field}` }
}

function validateScale(
  { scale }: NonNullable<CustomResourceDefinitionVersion['subresources']>,
  path: string,
): readonly FieldError[] {
  if (scale === undefined) return []
  const one = (name: keyof typeof scale, roots: readonly string[], where: string) => {
    const text = scale[name]
    const at = `${path}.scale.${name}`
    if (!text) return []
    if (!text.startsWith('.')) return [invalidValue(at, text, 'must be a simple json path starting with .')]
    return roots.some(root => text.startsWith(root))
      ? []
      : [invalidValue(at, text, `should be a json path under ${where}`)]
  }
  return [
    ...one('specReplicasPath', ['.spec.'], '.spec'),
    ...one('statusReplicasPath', ['.status.'], '.status'),
    ...one('labelSelectorPath', ['.spec.', '.status.'], 'either .spec or .status'),
  ]
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string']
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password']

function validateColumn(column: CustomResourceColumnDefinition, path: string): readonly FieldError[] {
  const { type, format, jsonPath } = column
  const errors: FieldError[] = []
  if (type && !columnTypes.includes(type)) {
    errors.push(invalidValue(`${path}.type`, type, `must be one of ${columnTypes.join(',')}`))
  }
  if (format && !columnFormats.includes(format)) {
    errors.push(invalidValue(`${path}.format`, format, `must be one of ${columnFormats.join(',')}`))
  }
  if (jsonPath && !jsonPath.startsWith('.')) {
    errors.push(invalidValue(`${path}.JSONPath`, jsonPath, 'must be a simple json path starting with .'))
  } else if (jsonPath && parseJsonPath(jsonPath) === undefined) {
    errors.push(invalidValue(`${path}.JSONPath`, jsonPath, 'must be a json path'))
  }
  return errors
}

const selectableFieldCountMax = 8

function validateSelectable(
  fields: readonly { readonly jsonPath: string }[],
  schema: JsonSchemaProps | undefined,
  path: string,
): readonly FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { jsonPath }] of fields.entries()) {
    if (!jsonPath || !schema) continue
    const at = `${path}[${i}].jsonPath`
    const found = fieldAt(schema, jsonPath)
    if (typeof found === 'string') {
      errors.push(invalidValue(at, jsonPath, `is an invalid path: ${found}`))
      continue
    }
    if (/^\.metadata\b/.test(jsonPath)) errors.push(invalidValue(at, jsonPath, 'must not point to fields in metadata'))
    if (!['string', 'boolean', 'integer'].includes(found.type ?? '')) {
      const why =
        'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.'
      errors.push(invalidValue(at, jsonPath, why))
    }
    if (seen.has(jsonPath)) errors.push(duplicateValue(at, jsonPath))
    seen.add(jsonPath)
  }
  if (seen.size > selectableFieldCountMax) errors.push(tooMany(path, seen.size, selectableFieldCountMax))
  return errors
}

function fieldAt(schema: JsonSchemaProps, jsonPath: string): JsonSchemaProps | string {
  const steps = parseJsonPath(jsonPath)
  if (steps === undefined || !jsonPath.startsWith('.') || steps.some(({ kind }) => kind !== 'field')) {
    return 'only the names of fields may stand in it'
  }
  let at = schema
  for (const step of steps) {
    const name = step.kind === 'field' ? step.name : ''
    const below = propertyOf(at, name)
    if (below === undefined) return 'does not refer to a valid field'
    at = below
  }
  return at
}

const reviewVersions = ['v1', 'v1beta1']

function validateConversion(
  spec: CustomResourceDefinitionSpec,
  old: CustomResourceDefinitionSpec | undefined,
): readonly FieldError[] {
  const { conversion, preserveUnknownFields } = spec
  if (conversion === undefined) return []
  const { strategy, webhook } = conversion
  const path = 'spec.conversion'
  const [config, versionsPath] = [`${path}.webhookClientConfig`, `${path}.conversionReviewVersions`]
  if (strategy !== 'Webhook') {
    const why = 'should not be set when strategy is not set to Webhook'
    return [
      ...(webhook?.clientConfig ? [forbidden(config, why)] : []),
      ...((webhook?.conversionReviewVersions ?? []).length > 0 ? [forbidden(versionsPath, why)] : []),
    ]
  }
  const errors: FieldError[] = []
  if (preserveUnknownFields) {
    errors.push(invalidValue(`${path}.strategy`, strategy, 'must be None if spec.preserveUnknownFields is true'))
  }
  const client = webhook?.clientConfig
  if (client === undefined) errors.push(requiredValue(config, 'required when strategy is set to Webhook'))
  else if ((client.url === undefined) === (client.service === undefined)) {
    errors.push(requiredValue(config, 'exactly one of url or service is required'))
  } else if (client.url !== undefined) errors.push(...validateUrl(client.url, `${config}.url`))
  else if (client.service) errors.push(...validateService(client.service, `${config}.service`))
  const fault = bundleFault(spec)
  // A new definition waits for its CAs; one that is served would stop to be.
  if (fault !== undefined && old !== undefined && bundleFault(old) === undefined) {
    const message = `Invalid value: ${fault.shown}: ${fault.why}`
    errors.push({ field: `${config}.caBundle`, reason: 'FieldValueInvalid', message })
  }
  const versions = webhook?.conversionReviewVersions ?? []
  for (const [i, version] of versions.entries()) {
    if (versions.indexOf(version) < i) {
      errors.push(invalidValue(`${versionsPath}[${i}]`, version, 'duplicate version'))
      continue
    }
    errors.push(...labelled(`${versionsPath}[${i}]`, version))
  }
  if (versions.length > 0 && !versions.some(version => reviewVersions.includes(version))) {
    errors.push(invalidValue(versionsPath, versions, `must include at least one of ${reviewVersions.join(', ')}`))
  }
  return errors
}

function validateUrl(text: string, path: string): readonly FieldError[] {
  const form = '; desired format: https://host[/path]'
  if (!URL.canParse(text)) return [requiredValue(path, `url must be a valid URL${form}`)]
  const url = new URL(text)
  const no = (what: string, shown: string) => [invalidValue(path, shown, `${what} not permitted in the URL`)]
  return [
    ...(url.protocol === 'https:'
      ? []
      : [invalidValue(path, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`)]),
    ...(url.hostname === '' ? [invalidValue(path, '', `host must be specified${form}`)] : []),
    ...(url.username !== '' ? no('user information is', url.username) : []),
    ...(url.hash !== '' ? no('fragments are', url.hash.slice(1)) : []),
    ...(url.search !== '' ? no('query parameters are', url.search.slice(1)) : []),
  ]
}

function validateService(
  service: { readonly path?: string; readonly port?: number },
  path: string,
): readonly FieldError[] {
  const { path: text, port = 443 } = service
  return [
    ...(port < 1 || port > 65_535
      ? [invalidValue(`${path}.port`, port, 'port is not valid: must be between 1 and 65535, inclusive')]
      : []),
    ...(text !== undefined && text !== '' && !text.startsWith('/')
      ? [invalidValue(`${path}.path`, text, "must start with a '/'")]
      : []),
  ]
}

function validateChange(
  { spec }: CustomResourceDefinition,
  { spec: old, status }: CustomResourceDefinition,
): readonly FieldError[] {
  const fixed = (path: string, value: string, before: string) => (value === before ? [] : [immutable(path, value)])
  const isEstablished = status?.conditions?.some(one => one.type === 'Established' && one.status === 'True')
  return [
    ...(isEstablished
      ? [...fixed('spec.scope', spec.scope, old.scope), ...fixed('spec.names.kind', spec.names.kind, old.names.kind)]
      : []),
    ...fixed('spec.group', spec.group, old.group),
    ...fixed('spec.names.plural', spec.names.plural, old.names.plural),
  ]
}

/** A version that objects may still be stored in cannot go. */
function validateStored({ spec, status }: CustomResourceDefinition): readonly FieldError[] {
  const names = spec.versions.map(({ name }) => name)
  return (status?.storedVersions ?? []).flatMap((version, i) =>
    names.includes(version)
      ? []
      : [invalidValue(`status.storedVersions[${i}]`, version, 'must appear in spec.versions')],
  )
}
