// Tokens to a syntax tree, by recursive descent over the grammar of cel-spec ("Syntax"). Total: any text gives a tree or
// issues. Nesting beyond depthMax is refused, which bounds every later walk of the tree. Called by cel.ts.
import {
  depthMax,
  type Element,
  type Entry,
  type Expr,
  type ExprKind,
  expr,
  type Initializer,
  operators,
} from './ast.ts'
import { int64, uint64 } from './ints.ts'
import { integerOf, reserved, type Token, tokenize } from './lexer.ts'
import { expandMacro, type Macros } from './macros.ts'
import type { Issue } from './source.ts'
import { Double, Uint } from './values.ts'

/** The most code points that a source may have. */
export const sourceLengthMax = 100_000

export type Parsed =
  | { readonly kind: 'parsed'; readonly expr: Expr }
  | { readonly kind: 'refused'; readonly issues: Issue[] }

const startOfExpression =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

export function parse(source: string, macros: Macros): Parsed {
  const length = source.length > sourceLengthMax ? [...source].length : source.length
  if (length > sourceLengthMax) {
    const message = `expression code point size exceeds limit: size: ${length}, limit ${sourceLengthMax}`
    return { kind: 'refused', issues: [{ offset: 0, message }] }
  }
  const { tokens, issues } = tokenize(source)
  const parser = new Parser(tokens, macros, issues)
  try {
    const tree = parser.whole()
    return issues.length === 0 ? { kind: 'parsed', expr: tree } : { kind: 'refused', issues }
  } catch (error) {
    if (!(error instanceof SyntaxStop)) throw error
    issues.push({ offset: error.offset, message: error.message })
    return { kind: 'refused', issues }
  }
}

/** Ends a parse from any depth; never leaves this file. */
class SyntaxStop extends Error {
  readonly offset: number
  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

const relations: Readonly<Record<string, string>> = {
  '==': operators.equals,
  '!=': operators.notEquals,
  '<': operators.less,
  '<=': operators.lessEquals,
  '>': operators.greater,
  '>=': operators.greaterEquals,
  in: operators.in,
}
const sums: Readonly<Record<string, string>> = { '+': operators.add, '-': operators.subtract }
const products: Readonly<Record<string, string>> = {
  '*': operators.multiply,
  '/': operators.divide,
  '%': operators.modulo,
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #macros: Macros
  readonly #issues: Issue[]
  #at = 0
  #depth = 0
  constructor(tokens: readonly Token[], macros: Macros, issues: Issue[]) {
    this.#tokens = tokens
    this.#macros = macros
    this.#issues = issues
  }

  whole(): Expr {
    const tree = this.#expression()
    if (this.#peek().kind !== 'end') this.#unexpected('<EOF>')
    return tree
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '<EOF>', offset: 0 }
  }

  #next(): Token {
    const token = this.#peek()
    this.#at++
    return token
  }

  #is(text: string): boolean {
    const token = this.#peek()
    return (token.kind === 'symbol' || token.kind === 'keyword') && token.text === text
  }

  #take(text: string): Token | undefined {
    return this.#is(text) ? this.#next() : undefined
  }

  #expect(text: string): Token {
    return this.#take(text) ?? this.#unexpected(`'${text}'`)
  }

  #unexpected(expecting: string): never {
    const { text, offset } = this.#peek()
    throw new SyntaxStop(offset, `Syntax error: mismatched input '${text}' expecting ${expecting}`)
  }

  /** Makes an expression, and holds the bound of nesting. */
  #make(offset: number, kind: ExprKind): Expr {
    const made = expr(offset, kind)
    if (made.depth > depthMax) throw new SyntaxStop(offset, `expression recursion limit exceeded: ${depthMax}`)
    return made
  }

  #call(offset: number, name: string, ...args: Expr[]): Expr {
    return this.#make(offset, { kind: 'call', name, target: undefined, args })
  }

  #expression(): Expr {
    if (++this.#depth > depthMax) {
      throw new SyntaxStop(this.#peek().offset, `expression recursion limit exceeded: ${depthMax}`)
    }
    const whole = this.#choice(this.#disjunction())
    this.#depth--
    return whole
  }

  #choice(condition: Expr): Expr {
    const mark = this.#take('?')
    if (mark === undefined) return condition
    const then = this.#disjunction()
    this.#expect(':')
    return this.#call(mark.offset, operators.conditional, condition, then, this.#expression())
  }

  #disjunction(): Expr {
    return this.#logical('||', operators.or, () => this.#logical('&&', operators.and, () => this.#relation()))
  }

  /** Chains are balanced, so that a long one is not deep. */
  #logical(sign: string, name: string, operand: () => Expr): Expr {
    const terms = [operand()]
    const offsets: number[] = []
    for (let found = this.#take(sign); found !== undefined; found = this.#take(sign)) {
      offsets.push(found.offset)
      terms.push(operand())
    }
    const balance = (low: number, high: number): Expr => {
      if (low === high) return terms[low] ?? this.#unexpected(startOfExpression)
      const middle = Math.floor((low + high) / 2)
      return this.#call(offsets[middle] ?? 0, name, balance(low, middle), balance(middle + 1, high))
    }
    return balance(0, terms.length - 1)
  }

  #leftToRight(names: Readonly<Record<string, string>>, operand: () => Expr): Expr {
    let left = operand()
    for (;;) {
      const token = this.#peek()
      const name = token.kind === 'symbol' || token.kind === 'keyword' ? names[token.text] : undefined
      if (name === undefined) return left
      this.#next()
      left = this.#call(token.offset, name, left, operand())
    }
  }

  #relation(): Expr {
    return this.#leftToRight(relations, () =>
      this.#leftToRight(sums, () => this.#leftToRight(products, () => this.#unary())),
    )
  }

  #unary(): Expr {
    const sign = this.#is('!') ? '!' : '-'
    const signs: Token[] = []
    for (let found = this.#take(sign); found !== undefined; found = this.#take(sign)) signs.push(found)
    const [first] = signs
    if (first === undefined) return this.#member(undefined)
    if (sign === '!') {
      const operand = this.#member(undefined)
      return signs.length % 2 === 0 ? operand : this.#call(first.offset, operators.not, operand)
    }
    // The last minus belongs to a number that follows: -9223372036854775808 is an int.
    if (this.#peek().kind === 'int' || this.#peek().kind === 'double') {
      const operand = this.#member(signs.at(-1))
      return signs.length % 2 === 1 ? operand : this.#call(first.offset, operators.negate, operand)
    }
    const operand = this.#member(undefined)
    return signs.length % 2 === 0 ? operand : this.#call(first.offset, operators.negate, operand)
  }

  #member(minus: Token | undefined): Expr {
    let operand = this.#primary(minus)
    for (;;) {
      const dot = this.#take('.')
      if (dot !== undefined) operand = this.#selection(operand, dot)
      else {
        const open = this.#take('[')
        if (open === undefined) return operand
        const name = this.#take('?') === undefined ? operators.index : operators.optionalIndex
        const index = this.#expression()
        this.#expect(']')
        operand = this.#call(open.offset, name, operand, index)
      }
    }
  }

  #selection(operand: Expr, dot: Token): Expr {
    const optional = this.#take('?') !== undefined
    const name = this.#fieldName()
    if (optional) {
      const field = this.#make(name.offset, { kind: 'literal', value: name.text })
      return this.#call(dot.offset, operators.optionalSelect, operand, field)
    }
    const open = this.#take('(')
    if (open === undefined) {
      return this.#make(dot.offset, { kind: 'select', operand, field: name.text, test: false })
    }
    return this.#callOrMacro(open.offset, name, operand)
  }

  /** After a dot any word may stand but the literals and `in`. */
  #fieldName(): Token {
    const token = this.#peek()
    if (token.kind !== 'ident') this.#unexpected('IDENTIFIER')
    return this.#next()
  }

  #callOrMacro(offset: number, name: Token, target: Expr | undefined): Expr {
    const args = this.#arguments()
    const expanded = expandMacro(this.#macros, name.text, target, args, {
      offset,
      make: (at, kind) => this.#make(at, kind),
    })
    if (expanded === undefined) return this.#make(offset, { kind: 'call', name: name.text, target, args })
    if (expanded.kind === 'expanded') return expanded.expr
    this.#issues.push({ offset: expanded.offset, message: expanded.message })
    return this.#make(offset, { kind: 'literal', value: null })
  }

  #arguments(): Expr[] {
    const args: Expr[] = []
    if (this.#take(')') !== undefined) return args
    do args.push(this.#expression())
    while (this.#take(',') !== undefined)
    this.#expect(')')
    return args
  }

  #primary(minus: Token | undefined): Expr {
    const token = this.#peek()
    if (token.kind === 'symbol' || token.kind === 'end') return this.#bracketed()
    this.#next()
    const literal = (value: Extract<ExprKind, { kind: 'literal' }>['value']): Expr =>
      this.#make(minus?.offset ?? token.offset, { kind: 'literal', value })
    switch (token.kind) {
      case 'ident':
        return this.#name(token, '')
      case 'keyword':
        if (token.text === 'in') {
          this.#at--
          this.#unexpected(startOfExpression)
        }
        return literal(token.text === 'null' ? null : token.text === 'true')
      case 'string':
        return literal(token.string ?? '')
      case 'bytes':
        return literal(token.bytes ?? new Uint8Array())
      case 'double': {
        const value = Number(token.text)
        if (!Number.isFinite(value)) this.#issues.push({ offset: token.offset, message: 'invalid double literal' })
        return literal(new Double(minus === undefined ? value : -value))
      }
      case 'int': {
        const size = BigInt(integerOf(token.text))
        const value = int64(minus === undefined ? size : -size)
        if (value === undefined)
          this.#issues.push({ offset: minus?.offset ?? token.offset, message: 'invalid int literal' })
        return literal(value ?? 0)
      }
      case 'uint': {
        const value = uint64(BigInt(integerOf(token.text)))
        if (value === undefined) this.#issues.push({ offset: token.offset, message: 'invalid uint literal' })
        return literal(new Uint(value ?? 0))
      }
    }
  }

  #bracketed(): Expr {
    const token = this.#peek()
    if (this.#take('(') !== undefined) {
      const inner = this.#expression()
      this.#expect(')')
      return inner
    }
    if (this.#take('[') !== undefined) return this.#make(token.offset, { kind: 'list', elements: this.#elements() })
    if (this.#take('{') !== undefined) return this.#make(token.offset, { kind: 'map', entries: this.#entries() })
    if (this.#take('.') !== undefined) return this.#name(this.#fieldName(), '.')
    return this.#unexpected(startOfExpression)
  }

  /** A variable, the call of a function, or the construction of an object. */
  #name(token: Token, lead: string): Expr {
    if (reserved.has(token.text)) {
      this.#issues.push({ offset: token.offset, message: `reserved identifier: ${token.text}` })
    }
    const open = this.#take('(')
    const name = { ...token, text: lead + token.text }
    if (open !== undefined) return this.#callOrMacro(open.offset, name, undefined)
    return this.#construction(name) ?? this.#make(token.offset, { kind: 'ident', name: name.text })
  }

  /** `a.b.C{...}`: looked for ahead, because a name before a brace is a type. */
  #construction(first: Token): Expr | undefined {
    let ahead = this.#at
    let name = first.text
    const isSymbol = (at: number, text: string) =>
      this.#tokens[at]?.kind === 'symbol' && this.#tokens[at]?.text === text
    while (isSymbol(ahead, '.') && this.#tokens[ahead + 1]?.kind === 'ident') {
      name += `.${this.#tokens[ahead + 1]?.text ?? ''}`
      ahead += 2
    }
    if (!isSymbol(ahead, '{')) return undefined
    const offset = this.#tokens[ahead]?.offset ?? first.offset
    this.#at = ahead + 1
    return this.#make(offset, { kind: 'object', name, fields: this.#initializers() })
  }

  #separated<T>(close: string, item: () => T): T[] {
    const items: T[] = []
    while (!this.#is(close)) {
      items.push(item())
      if (this.#take(',') === undefined) break
    }
    this.#expect(close)
    return items
  }

  #elements(): Element[] {
    return this.#separated(']', () => {
      const optional = this.#take('?') !== undefined
      return { optional, value: this.#expression() }
    })
  }

  #entries(): Entry[] {
    return this.#separated('}', () => {
      const optional = this.#take('?') !== undefined
      const key = this.#expression()
      this.#expect(':')
      return { optional, key, value: this.#expression() }
    })
  }

  #initializers(): Initializer[] {
    return this.#separated('}', () => {
      const optional = this.#take('?') !== undefined
      const { text, offset } = this.#fieldName()
      this.#expect(':')
      return { optional, field: text, offset, value: this.#expression() }
    })
  }
}
