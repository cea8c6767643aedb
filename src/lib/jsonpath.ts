// The JSONPath of kubectl and of printer columns: .a.b, ['a'], [0], [-1], [0:2], [*], .*, ..a and [?(@.type=="Ready")].
// Parsed once, then applied to many values. Total: text that is no path gives undefined, a path that finds nothing gives
// an empty list. https://kubernetes.io/docs/reference/kubectl/jsonpath/

export type JsonPath = readonly Step[]

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly from: number | undefined; readonly to: number | undefined }
  | { readonly kind: 'at'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'deep' }
  | { readonly kind: 'filter'; readonly left: Operand; readonly operator: string; readonly right: Operand | undefined }

type Operand = { readonly path: JsonPath } | { readonly value: unknown }

const lengthMax = 4_096

/** `.spec.replicas` or `{.spec.replicas}`; undefined when it is none. */
export function parseJsonPath(text: string): JsonPath | undefined {
  if (text.length > lengthMax) return undefined
  const inner = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  const bare = inner.startsWith('$') || inner.startsWith('@') ? inner.slice(1) : inner
  const steps: Step[] = []
  let at = 0
  while (at < bare.length) {
    const found = bare[at] === '[' ? bracket(bare, at) : dotted(bare, at, steps.length === 0)
    if (found === undefined) return undefined
    steps.push(...found.steps)
    at = found.end
  }
  return steps
}

type Found = { readonly steps: readonly Step[]; readonly end: number } | undefined

function dotted(text: string, start: number, isFirst: boolean): Found {
  let at = start
  const steps: Step[] = []
  if (text.startsWith('..', at)) {
    steps.push({ kind: 'deep' })
    at += 2
  } else if (text[at] === '.') at += 1
  else if (!isFirst) return undefined
  if (text[at] === '*') return { steps: [...steps, { kind: 'all' }], end: at + 1 }
  let name = ''
  while (at < text.length && text[at] !== '.' && text[at] !== '[') {
    // A dot in a name is escaped: .metadata.annotations.example\.com/x
    if (text[at] === '\\') at += 1
    name += text[at] ?? ''
    at += 1
  }
  if (name !== '') return { steps: [...steps, { kind: 'field', name }], end: at }
  // '.' alone is the whole, and '..[' goes on with the bracket.
  if (text[at] === '[') return { steps, end: at }
  return at === text.length && steps.length === 0 ? { steps, end: at } : undefined
}

function bracket(text: string, start: number): Found {
  const end = closing(text, start)
  if (end === undefined) return undefined
  const inner = text.slice(start + 1, end).trim()
  const step = insideBracket(inner)
  return step && { steps: [step], end: end + 1 }
}

function closing(text: string, start: number): number | undefined {
  let depth = 0
  let quote = ''
  for (let at = start; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote !== '') {
      if (char === '\\') at += 1
      else if (char === quote) quote = ''
    } else if (char === '"' || char === "'") quote = char
    else if (char === '[') depth += 1
    else if (char === ']') {
      depth -= 1
      if (depth === 0) return at
    }
  }
  return undefined
}

function insideBracket(inner: string): Step | undefined {
  if (inner === '*') return { kind: 'all' }
  const quoted = /^(['"])(.*)\1$/s.exec(inner)
  if (quoted) return { kind: 'field', name: (quoted[2] ?? '').replace(/\\(.)/g, '$1') }
  if (/^-?\d{1,9}$/.test(inner)) return { kind: 'at', index: Number(inner) }
  const slice = /^(-?\d{1,9})?:(-?\d{1,9})?$/.exec(inner)
  if (slice) {
    const [, from, to] = slice
    return { kind: 'index', from: from ? Number(from) : undefined, to: to ? Number(to) : undefined }
  }
  const filter = /^\?\((.*)\)$/s.exec(inner)
  return filter ? filterOf((filter[1] ?? '').trim()) : undefined
}

function filterOf(text: string): Step | undefined {
  const parts = /^(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*)$/s.exec(text)
  if (!parts) {
    const left = operandOf(text)
    return left && { kind: 'filter', left, operator: 'exists', right: undefined }
  }
  const [, a = '', operator = '', b = ''] = parts
  const [left, right] = [operandOf(a), operandOf(b)]
  return left && right && { kind: 'filter', left, operator, right }
}

function operandOf(text: string): Operand | undefined {
  if (text.startsWith('@') || text.startsWith('$')) {
    const path = parseJsonPath(text)
    return path && { path }
  }
  const quoted = /^(['"])(.*)\1$/s.exec(text)
  if (quoted) return { value: (quoted[2] ?? '').replace(/\\(.)/g, '$1') }
  if (text === 'true' || text === 'false') return { value: text === 'true' }
  return text !== '' && Number.isFinite(Number(text)) ? { value: Number(text) } : undefined
}

/** All values that the path leads to, in order. */
export function findJsonPath(path: JsonPath, value: unknown): readonly unknown[] {
  let found: readonly unknown[] = [value]
  for (const step of path) found = found.flatMap(one => follow(step, one))
  return found
}

function follow(step: Step, value: unknown): readonly unknown[] {
  switch (step.kind) {
    case 'field':
      return isRecord(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : []
    case 'all':
      return childrenOf(value)
    case 'at': {
      if (!Array.isArray(value)) return []
      const index = step.index < 0 ? value.length + step.index : step.index
      return index >= 0 && index < value.length ? [value[index]] : []
    }
    case 'index':
      return Array.isArray(value) ? value.slice(step.from ?? 0, step.to) : []
    case 'deep':
      return deep(value)
    case 'filter':
      return childrenOf(value).filter(child => holds(step, child))
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function childrenOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return isRecord(value) ? Object.values(value) : []
}

function deep(value: unknown): readonly unknown[] {
  return [value, ...childrenOf(value).flatMap(deep)]
}

function holds({ left, operator, right }: Extract<Step, { kind: 'filter' }>, item: unknown): boolean {
  const read = (operand: Operand) => ('path' in operand ? findJsonPath(operand.path, item)[0] : operand.value)
  const a = read(left)
  if (right === undefined) return a !== undefined
  const b = read(right)
  if (a === undefined || b === undefined) return false
  const order = typeof a === typeof b && (typeof a === 'number' || typeof a === 'string')
  switch (operator) {
    case '==':
      return a === b
    case '!=':
      return a !== b
    case '<':
      return order && a < (b as typeof a)
    case '<=':
      return order && a <= (b as typeof a)
    case '>':
      return order && a > (b as typeof a)
    default:
      return order && a >= (b as typeof a)
  }
}
