// Label and field selectors: the text form of requests, the object form of specs, and whether labels match.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
import { sortedBy } from './sorted.ts'

export type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt'

export type Requirement = { readonly key: string; readonly operator: Operator; readonly values: readonly string[] }

type Labels = Readonly<Record<string, string>>

/** meta/v1 LabelSelector. */
export type LabelSelectorLike = {
  readonly matchLabels?: Labels
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: string
    readonly values?: readonly string[]
  }[]
}

/** The text is no selector; the message says where. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError'
}

const namePart = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** 'app' or 'example.com/app'. */
export function isQualifiedName(text: string): boolean {
  const parts = text.split('/')
  const [first = '', second] = parts
  if (parts.length > 2) return false
  if (second === undefined) return namePart.test(first)
  return first.length <= 253 && subdomain.test(first) && namePart.test(second)
}

export function isLabelValue(text: string): boolean {
  return text === '' || namePart.test(text)
}

const tokenPattern = /\s*(!=|==|[=!,()<>]|[^\s=!,()<>]+)/y

function tokensOf(text: string): readonly string[] {
  const tokens: string[] = []
  tokenPattern.lastIndex = 0
  while (text.slice(tokenPattern.lastIndex).trim() !== '') {
    const match = tokenPattern.exec(text)
    if (!match?.[1]) break
    tokens.push(match[1])
  }
  return tokens
}

const punctuation = new Set(['!=', '==', '=', '!', ',', '(', ')', '<', '>'])

class Tokens {
  readonly #tokens: readonly string[]
  #at = 0
  constructor(text: string) {
    this.#tokens = tokensOf(text)
  }
  get next(): string | undefined {
    return this.#tokens[this.#at]
  }
  take(): string | undefined {
    return this.#tokens[this.#at++]
  }
  /** True, and a step on, when the next token is `token`. */
  skip(token: string): boolean {
    if (this.next !== token) return false
    this.#at++
    return true
  }
}

function fault(found: string | undefined, expected: string): SelectorError {
  return new SelectorError(`unable to parse requirement: found '${found ?? ''}', expected: ${expected}`)
}

/** 'a=b,c!=d,e in (x,y),f notin (z),g,!h,n>1'. An empty text selects everything. Throws SelectorError. */
export function parseLabelSelector(text: string): readonly Requirement[] {
  const tokens = new Tokens(text)
  const requirements: Requirement[] = []
  if (tokens.next === undefined) return requirements
  do {
    requirements.push(checked(parseRequirement(tokens)))
  } while (tokens.skip(','))
  if (tokens.next !== undefined) throw fault(tokens.next, "',' or 'end of string'")
  return requirements
}

function parseRequirement(tokens: Tokens): Requirement {
  const negated = tokens.skip('!')
  const key = tokens.take()
  if (key === undefined || punctuation.has(key)) throw fault(key, 'identifier')
  if (negated) return { key, operator: 'DoesNotExist', values: [] }
  if (tokens.next === undefined || tokens.next === ',') return { key, operator: 'Exists', values: [] }
  const operator = tokens.take()
  switch (operator) {
    case '=':
    case '==':
      return { key, operator: 'In', values: [parseValue(tokens)] }
    case '!=':
      return { key, operator: 'NotIn', values: [parseValue(tokens)] }
    case '>':
      return { key, operator: 'Gt', values: [parseValue(tokens)] }
    case '<':
      return { key, operator: 'Lt', values: [parseValue(tokens)] }
    case 'in':
      return { key, operator: 'In', values: parseValues(tokens) }
    case 'notin':
      return { key, operator: 'NotIn', values: parseValues(tokens) }
    default:
      throw fault(operator, 'in, notin, =, ==, !=, gt, lt')
  }
}

function parseValue(tokens: Tokens): string {
  if (tokens.next === undefined || tokens.next === ',') return ''
  const value = tokens.take() ?? ''
  if (punctuation.has(value)) throw fault(value, 'identifier')
  return value
}

function parseValues(tokens: Tokens): readonly string[] {
  if (!tokens.skip('(')) throw fault(tokens.next, "'('")
  const values: string[] = []
  do {
    const next = tokens.next
    if (next === ',' || next === ')') values.push('')
    else values.push(parseValue(tokens))
  } while (tokens.skip(','))
  if (!tokens.skip(')')) throw fault(tokens.next, "',' or ')'")
  return values
}

function checked(requirement: Requirement): Requirement {
  const { key, operator, values } = requirement
  if (!isQualifiedName(key)) {
    throw new SelectorError(
      `key: Invalid value: ${JSON.stringify(key)}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
    )
  }
  if (operator === 'Gt' || operator === 'Lt') {
    if (!/^-?\d+$/.test(values[0] ?? '')) {
      throw new SelectorError(
        `values[0][${key}]: Invalid value: ${JSON.stringify(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer`,
      )
    }
    return requirement
  }
  for (const [i, value] of values.entries()) {
    if (!isLabelValue(value)) {
      throw new SelectorError(
        `values[${i}][${key}]: Invalid value: ${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
      )
    }
  }
  return requirement
}

/** Undefined for an absent selector, which selects nothing; an empty one gives [], which selects everything. */
export function requirementsOf(selector: LabelSelectorLike | undefined): readonly Requirement[] | undefined {
  if (!selector) return undefined
  const equal = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: 'In', values: [value] }),
  )
  const more = (selector.matchExpressions ?? []).map(
    ({ key, operator, values }): Requirement => ({ key, operator: operator as Operator, values: values ?? [] }),
  )
  return [...equal, ...more]
}

export function matchesRequirement({ key, operator, values }: Requirement, labels: Labels | undefined): boolean {
  const value = labels && Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return isWhole(value) && Number(value) > Number(values[0])
    case 'Lt':
      return isWhole(value) && Number(value) < Number(values[0])
    default:
      return false
  }
}

function isWhole(value: string | undefined): boolean {
  return value !== undefined && /^-?\d+$/.test(value)
}

export function matchesLabels(requirements: readonly Requirement[], labels: Labels | undefined): boolean {
  return requirements.every(requirement => matchesRequirement(requirement, labels))
}

export function selects(selector: LabelSelectorLike | undefined, labels: Labels | undefined): boolean {
  const requirements = requirementsOf(selector)
  return requirements !== undefined && matchesLabels(requirements, labels)
}

/** The text form, sorted by key: 'a=b,c in (x,y),!d'. */
export function formatLabelSelector(requirements: readonly Requirement[]): string {
  return sortedBy(requirements, ({ key }) => key)
    .map(({ key, operator, values }) => {
      switch (operator) {
        case 'Exists':
          return key
        case 'DoesNotExist':
          return `!${key}`
        case 'Gt':
          return `${key}>${values[0]}`
        case 'Lt':
          return `${key}<${values[0]}`
        case 'In':
          return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.toSorted().join(',')})`
        case 'NotIn':
          return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.toSorted().join(',')})`
        default:
          return key
      }
    })
    .join(',')
}

export type FieldTerm = { readonly field: string; readonly operator: '=' | '!='; readonly value: string }

/** 'metadata.name=x,status.phase!=Failed'. A backslash escapes `\`, `,` and `=` in a value. Throws SelectorError. */
export function parseFieldSelector(text: string): readonly FieldTerm[] {
  return splitTerms(text)
    .filter(term => term !== '')
    .map(term => {
      const match = /^((?:\\.|[^\\=!])*?)(!=|==|=)(.*)$/s.exec(term)
      if (!match) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`)
      const [, field = '', operator = '', value = ''] = match
      return { field, operator: operator === '!=' ? '!=' : '=', value: unescaped(value) }
    })
}

function splitTerms(text: string): readonly string[] {
  const terms: string[] = []
  let term = ''
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i)
    if (character === '\\') {
      term += character + text.charAt(++i)
    } else if (character === ',') {
      terms.push(term)
      term = ''
    } else {
      term += character
    }
  }
  return [...terms, term]
}

function unescaped(value: string): string {
  if (/\\(?![\\,=])/.test(value.replaceAll('\\\\', ''))) {
    throw new SelectorError(`invalid field selector: invalid escape sequence in ${JSON.stringify(value)}`)
  }
  if (/(^|[^\\])=/.test(value)) throw new SelectorError(`invalid field selector: unescaped character in value: =`)
  return value.replace(/\\([\\,=])/g, '$1')
}
