// A syntax tree as text, with parentheses around everything: the twin of the parser for the tests.
import { type Expr, operators } from '../../../src/lib/cel/ast.ts'
import { Double, Uint, type Value } from '../../../src/lib/cel/values.ts'

const signs: ReadonlyMap<string, string> = new Map([
  [operators.or, '||'],
  [operators.and, '&&'],
  [operators.equals, '=='],
  [operators.notEquals, '!='],
  [operators.less, '<'],
  [operators.lessEquals, '<='],
  [operators.greater, '>'],
  [operators.greaterEquals, '>='],
  [operators.in, 'in'],
  [operators.add, '+'],
  [operators.subtract, '-'],
  [operators.multiply, '*'],
  [operators.divide, '/'],
  [operators.modulo, '%'],
])

export function print(expr: Expr): string {
  switch (expr.kind) {
    case 'literal':
      return literal(expr.value)
    case 'ident':
      return expr.name
    case 'select':
      return expr.test ? `has(${print(expr.operand)}.${expr.field})` : `(${print(expr.operand)}).${expr.field}`
    case 'call':
      return call(expr.name, expr.target, expr.args)
    case 'list':
      return `[${expr.elements.map(({ optional, value }) => mark(optional) + print(value)).join(', ')}]`
    case 'map':
      return `{${expr.entries.map(({ optional, key, value }) => `${mark(optional)}${print(key)}: ${print(value)}`).join(', ')}}`
    case 'object':
      return `${expr.name}{${expr.fields.map(({ optional, field, value }) => `${mark(optional)}${field}: ${print(value)}`).join(', ')}}`
    case 'comprehension':
      throw new Error('macros are not printed')
  }
}

const mark = (optional: boolean): string => (optional ? '?' : '')

function call(name: string, target: Expr | undefined, args: readonly Expr[]): string {
  const printed = args.map(print)
  const [a = '', b = '', c = ''] = printed
  const sign = signs.get(name)
  if (target !== undefined) return `(${print(target)}).${name}(${printed.join(', ')})`
  if (sign !== undefined) return `(${a} ${sign} ${b})`
  switch (name) {
    case operators.conditional:
      return `(${a} ? ${b} : ${c})`
    case operators.not:
      return `(!(${a}))`
    case operators.negate:
      return `(-(${a}))`
    case operators.index:
      return `(${a})[${b}]`
    case operators.optionalIndex:
      return `(${a})[?${b}]`
    case operators.optionalSelect:
      return `(${a}).?${JSON.parse(b)}`
    default:
      return `${name}(${printed.join(', ')})`
  }
}

function literal(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint) return `${value.value}u`
  if (value instanceof Double) return /[.e]/.test(String(value.value)) ? String(value.value) : `${value.value}.0`
  if (value instanceof Uint8Array)
    return `b"${Array.from(value, byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
  return String(value)
}
