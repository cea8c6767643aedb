// A pattern's tree as a program of a machine that reads one character at a time (R. Cox, "Regular Expression Matching: the
// Virtual Machine Approach"). Called by regex.ts.
import { type Assertion, type CharSet, type Node, PatternError } from './regex-parse.ts'

export type Instruction =
  | { readonly op: 'char'; readonly test: (code: number) => boolean }
  /** Goes to both; `to` is preferred. */
  | { readonly op: 'split'; to: number; otherwise: number }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'assert'; readonly assertion: Assertion }
  | { readonly op: 'match' }

/** Repetitions are written out, so that small patterns can be large programs. */
const instructionCountMax = 20_000

export function assemble(tree: Node): readonly Instruction[] {
  const program: Instruction[] = []
  const push = <T extends Instruction>(instruction: T): T => {
    if (program.length >= instructionCountMax) throw new PatternError('expression too large')
    program.push(instruction)
    return instruction
  }
  const loop = (part: Node, lazy: boolean): void => {
    const start = program.length
    const split = push({ op: 'split', to: 0, otherwise: 0 })
    emit(part)
    push({ op: 'jump', to: start })
    branch(split, start + 1, program.length, lazy)
  }
  const optional = (part: Node, lazy: boolean, count: number): void => {
    const splits = Array.from({ length: count }, () => {
      const split = push({ op: 'split', to: 0, otherwise: 0 })
      const start = program.length
      emit(part)
      return { split, start }
    })
    for (const { split, start } of splits) branch(split, start, program.length, lazy)
  }
  const choose = (parts: readonly Node[]): void => {
    const jumps: { to: number }[] = []
    for (const [i, part] of parts.entries()) {
      if (i === parts.length - 1) {
        emit(part)
        continue
      }
      const split = push({ op: 'split', to: program.length + 1, otherwise: 0 })
      emit(part)
      jumps.push(push({ op: 'jump', to: 0 }))
      split.otherwise = program.length
    }
    for (const jump of jumps) jump.to = program.length
  }
  const emit = (node: Node): void => {
    switch (node.kind) {
      case 'empty':
        return
      case 'char':
        push({ op: 'char', test: testOf(node.set) })
        return
      case 'assert':
        push({ op: 'assert', assertion: node.assertion })
        return
      case 'sequence':
        for (const part of node.parts) emit(part)
        return
      case 'choice':
        choose(node.parts)
        return
      case 'repeat': {
        for (let i = 0; i < node.min; i++) emit(node.part)
        if (node.max === Number.POSITIVE_INFINITY) loop(node.part, node.lazy)
        else optional(node.part, node.lazy, node.max - node.min)
      }
    }
  }
  emit(tree)
  push({ op: 'match' })
  return program
}

function branch(split: { to: number; otherwise: number }, into: number, past: number, lazy: boolean): void {
  split.to = lazy ? past : into
  split.otherwise = lazy ? into : past
}

function testOf(set: CharSet): (code: number) => boolean {
  const [only] = set.ranges
  if (only !== undefined && set.ranges.length === 1 && set.classes.length === 0 && !set.negated && !set.fold) {
    const [low, high] = only
    return code => code >= low && code <= high
  }
  const holds = (code: number): boolean =>
    set.ranges.some(([low, high]) => code >= low && code <= high) ||
    set.classes.some(({ test, negated }) => test.test(String.fromCodePoint(code)) !== negated)
  const folded = set.fold ? (code: number) => casesOf(code).some(holds) : holds
  const table = Uint8Array.from({ length: 128 }, (_, code) => (folded(code) !== set.negated ? 1 : 0))
  return code => (code < 128 ? table[code] === 1 : folded(code) !== set.negated)
}

/** A character in all its cases. The Kelvin sign and the long s fold to ASCII letters. */
function casesOf(code: number): readonly number[] {
  const char = String.fromCodePoint(code)
  const forms = [char, char.toLowerCase(), char.toUpperCase(), char.toUpperCase().toLowerCase()]
  const extra = char === 'k' || char === 'K' ? ['\u212a'] : char === 's' || char === 'S' ? ['\u017f'] : []
  return [...forms, ...extra].filter(form => [...form].length === 1).map(form => form.codePointAt(0) ?? 0)
}
