// What is wrong with the spec of a Job, and with the template of a CronJob's (upstream: pkg/apis/batch/validation).
import { addAll, duplicateValue, invalidValue, notSupported, requiredValue, tooLong, tooMany } from './field.ts'
import type { FieldError } from './kind.ts'
import type { JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from './kinds/job.ts'
import { dnsSubdomain, qualifiedName } from './names.ts'
import { validateSelector } from './pod/selector.ts'
import { validateTemplate } from './pod/validate.ts'
import { validateCounts } from './workload.ts'

const parallelismMax = 100_000
const failedIndexesMax = 100_000
/** From this many completions on, a limit per index costs more, and less of the others may be. */
const manyCompletions = 100_000
const besideMany = 10_000
const ruleCountMax = 20
const exitCodeCountMax = 255
const patternCountMax = 20
const managedByLengthMax = 63
const indexesLengthMax = 64 * 1024

export function validateJobTemplate(spec: JobSpec, path: string): readonly FieldError[] {
  const errors: FieldError[] = [
    ...validateCounts({
      [`${path}.parallelism`]: spec.parallelism,
      [`${path}.completions`]: spec.completions,
      [`${path}.activeDeadlineSeconds`]: spec.activeDeadlineSeconds,
      [`${path}.backoffLimit`]: spec.backoffLimit,
      [`${path}.ttlSecondsAfterFinished`]: spec.ttlSecondsAfterFinished,
      [`${path}.backoffLimitPerIndex`]: spec.backoffLimitPerIndex,
      [`${path}.maxFailedIndexes`]: spec.maxFailedIndexes,
    }),
    ...validateIndexed(spec, path),
    ...validateManager(spec.managedBy, `${path}.managedBy`),
    ...validateFailurePolicy(spec, `${path}.podFailurePolicy`),
    ...validateSuccessPolicy(spec, `${path}.successPolicy`),
    ...validateSelector(spec.selector, `${path}.selector`),
  ]
  if (spec.podFailurePolicy && spec.podReplacementPolicy === 'TerminatingOrFailed') {
    errors.push(notSupported(`${path}.podReplacementPolicy`, spec.podReplacementPolicy, ['Failed']))
  }
  if (!spec.template) return errors
  addAll(errors, validateTemplate(spec.template, `${path}.template`))
  const policy = spec.template.spec?.restartPolicy
  if (policy === 'Always') {
    errors.push(requiredValue(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'))
  } else if (spec.podFailurePolicy && policy !== 'Never') {
    const why = 'only "Never" is supported when podFailurePolicy is specified'
    errors.push(invalidValue(`${path}.template.spec.restartPolicy`, policy, why))
  }
  return errors
}

/** What only a Job may have whose pods are numbered. */
function validateIndexed(spec: JobSpec, path: string): readonly FieldError[] {
  const { completions, parallelism, maxFailedIndexes, backoffLimitPerIndex } = spec
  const errors: FieldError[] = []
  const wrong = (field: string, value: number, why: string) => errors.push(invalidValue(`${path}.${field}`, value, why))
  if (maxFailedIndexes !== undefined && backoffLimitPerIndex === undefined) {
    errors.push(requiredValue(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'))
  }
  if (spec.completionMode !== 'Indexed') {
    for (const field of ['backoffLimitPerIndex', 'maxFailedIndexes'] as const) {
      const value = spec[field]
      if (value !== undefined) wrong(field, value, 'requires indexed completion mode')
    }
    return errors
  }
  if (completions === undefined) errors.push(requiredValue(`${path}.completions`, 'when completion mode is Indexed'))
  if (parallelism !== undefined && parallelism > parallelismMax) {
    wrong('parallelism', parallelism, `must be less than or equal to ${parallelismMax} when completion mode is Indexed`)
  }
  if (completions !== undefined && maxFailedIndexes !== undefined && maxFailedIndexes > completions) {
    wrong('maxFailedIndexes', maxFailedIndexes, 'must be less than or equal to completions')
  }
  if (maxFailedIndexes !== undefined && maxFailedIndexes > failedIndexesMax) {
    wrong('maxFailedIndexes', maxFailedIndexes, `must be less than or equal to ${failedIndexesMax}`)
  }
  if (completions === undefined || completions <= manyCompletions || backoffLimitPerIndex === undefined) return errors
  if (maxFailedIndexes === undefined) {
    const why = `must be specified when completions is above ${manyCompletions}`
    errors.push(requiredValue(`${path}.maxFailedIndexes`, why))
  }
  for (const field of ['parallelism', 'maxFailedIndexes'] as const) {
    const value = spec[field]
    if (value === undefined || value <= besideMany) continue
    const when = `when completions are above ${manyCompletions} and used with backoff limit per index`
    wrong(field, value, `must be less than or equal to ${besideMany} ${when}`)
  }
  return errors
}

/** A domain and a path: example.com/my-controller. */
function validateManager(name: string | undefined, path: string): readonly FieldError[] {
  if (name === undefined) return []
  if (name === '') return [requiredValue(path)]
  const errors: FieldError[] = []
  const [, domain = '', rest = ''] = /^([^/]*)\/(.*)$/s.exec(name) ?? []
  if (domain === '' || rest === '') {
    errors.push(invalidValue(path, name, 'must be a domain-prefixed path (such as "acme.io/foo")'))
  } else {
    const wrong = dnsSubdomain(domain)
    if (wrong !== undefined) errors.push(invalidValue(path, domain, wrong))
    if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(rest)) {
      const why = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
      errors.push(invalidValue(path, rest, why))
    }
  }
  if (name.length > managedByLengthMax) errors.push(tooLong(path, managedByLengthMax))
  return errors
}

function validateFailurePolicy(spec: JobSpec, path: string): readonly FieldError[] {
  const { podFailurePolicy, template } = spec
  if (podFailurePolicy === undefined) return []
  const { rules = [] } = podFailurePolicy
  const containers = [...(template?.spec?.containers ?? []), ...(template?.spec?.initContainers ?? [])]
  const names = new Set(containers.map(({ name }) => name))
  return [
    ...(rules.length > ruleCountMax ? [tooMany(`${path}.rules`, rules.length, ruleCountMax)] : []),
    ...rules.flatMap((rule, i) => validateFailureRule(spec, rule, `${path}.rules[${i}]`, names)),
  ]
}

const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore']

function validateFailureRule(
  spec: JobSpec,
  { action, onExitCodes, onPodConditions = [] }: PodFailurePolicyRule,
  path: string,
  containers: ReadonlySet<string>,
): readonly FieldError[] {
  const errors: FieldError[] = []
  if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    errors.push(invalidValue(`${path}.action`, action, 'requires the backoffLimitPerIndex to be set'))
  } else if (action && !actions.includes(action)) errors.push(notSupported(`${path}.action`, action, actions))
  if (onExitCodes) addAll(errors, validateExitCodes(onExitCodes, `${path}.onExitCodes`, containers))
  if (onPodConditions.length > patternCountMax) {
    errors.push(tooMany(`${path}.onPodConditions`, onPodConditions.length, patternCountMax))
  }
  for (const [i, { type = '', status }] of onPodConditions.entries()) {
    const at = `${path}.onPodConditions[${i}]`
    const wrong = type === '' ? undefined : qualifiedName(type)
    if (wrong !== undefined) errors.push(invalidValue(`${at}.type`, type, wrong))
    if (status && !['False', 'True', 'Unknown'].includes(status)) {
      errors.push(notSupported(`${at}.status`, status, ['False', 'True', 'Unknown']))
    }
  }
  if (onExitCodes !== undefined && onPodConditions.length > 0) {
    errors.push(wrongAltogether(path, 'specifying both OnExitCodes and OnPodConditions is not supported'))
  }
  if (onExitCodes === undefined && onPodConditions.length === 0) {
    errors.push(wrongAltogether(path, 'specifying one of OnExitCodes and OnPodConditions is required'))
  }
  return errors
}

/** Of a whole that is not worth repeating. */
export function wrongAltogether(field: string, why: string): FieldError {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${why}` }
}

function validateExitCodes(
  { operator, containerName, values = [] }: NonNullable<PodFailurePolicyRule['onExitCodes']>,
  path: string,
  containers: ReadonlySet<string>,
): readonly FieldError[] {
  const errors: FieldError[] = []
  if (operator && operator !== 'In' && operator !== 'NotIn') {
    errors.push(notSupported(`${path}.operator`, operator, ['In', 'NotIn']))
  }
  if (containerName !== undefined && !containers.has(containerName)) {
    const why = 'must be one of the container or initContainer names in the pod template'
    errors.push(invalidValue(`${path}.containerName`, containerName, why))
  }
  if (values.length > exitCodeCountMax) errors.push(tooMany(`${path}.values`, values.length, exitCodeCountMax))
  const seen = new Set<number>()
  for (const [i, value] of values.entries()) {
    const at = `${path}.values[${i}]`
    if (operator === 'In' && value === 0) errors.push(invalidValue(at, value, 'must not be 0 for the In operator'))
    if (seen.has(value)) errors.push(duplicateValue(at, value))
    seen.add(value)
  }
  const isOrdered = values.every((value, i) => i === 0 || (values[i - 1] ?? value) <= value)
  if (!isOrdered) errors.push(invalidValue(`${path}.values`, values, 'must be ordered'))
  return errors
}

function validateSuccessPolicy(spec: JobSpec, path: string): readonly FieldError[] {
  const { successPolicy, completionMode } = spec
  if (successPolicy === undefined) return []
  if (completionMode !== 'Indexed') return [invalidValue(path, successPolicy, 'requires indexed completion mode')]
  const { rules = [] } = successPolicy
  return [
    ...(rules.length > ruleCountMax ? [tooMany(`${path}.rules`, rules.length, ruleCountMax)] : []),
    ...rules.flatMap((rule, i) => validateSuccessRule(rule, spec.completions ?? 0, `${path}.rules[${i}]`)),
  ]
}

function validateSuccessRule(
  { succeededCount: count, succeededIndexes: indexes }: SuccessPolicyRule,
  completions: number,
  path: string,
): readonly FieldError[] {
  const errors: FieldError[] = []
  if (count === undefined && indexes === undefined) {
    errors.push(requiredValue(path, 'at least one of succeededCount or succeededIndexes must be specified'))
  }
  let total = 0
  if (indexes !== undefined) {
    const at = `${path}.succeededIndexes`
    if (indexes.length > indexesLengthMax) errors.push(tooLong(at, indexesLengthMax))
    const counted = countIndexes(indexes, completions)
    if (typeof counted === 'number') total = counted
    else errors.push(invalidValue(at, indexes, `error parsing succeededIndexes: ${counted}`))
  }
  if (count === undefined) return errors
  const at = `${path}.succeededCount`
  addAll(errors, validateCounts({ [at]: count }))
  if (count > completions) {
    const why = `must be less than or equal to ${completions} (the number of specified completions)`
    errors.push(invalidValue(at, count, why))
  }
  if (indexes !== undefined && count > total) {
    const why = `must be less than or equal to ${total} (the number of indexes in the specified succeededIndexes field)`
    errors.push(invalidValue(at, count, why))
  }
  return errors
}

/** How many indexes '1,3-5,7' names, each smaller than `completions`; or in words what is wrong with it. */
export function countIndexes(text: string, completions: number): number | string {
  if (text === '') return 0
  let count = 0
  let last = -1
  for (const part of text.split(',')) {
    const limits = part.split('-')
    if (limits.length > 2) {
      return `the fragment "${part}" violates the requirement that an index interval can have at most two parts separated by '-'`
    }
    for (const limit of limits) {
      if (!/^[+-]?\d+$/.test(limit)) return `cannot convert string to integer for index: "${limit}"`
      if (Number(limit) >= completions) return `too large index: "${limit}"`
    }
    const [first = 0, second = first] = limits.map(Number)
    if (limits.length > 1 && first >= second) return `non-increasing order, previous: ${first}, current: ${second}`
    if (last >= first) return `non-increasing order, previous: ${last}, current: ${first}`
    count += second - first + 1
    last = second
  }
  return count
}
