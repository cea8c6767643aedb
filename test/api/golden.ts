// Golden cases: <name>.input.yaml beside <name>.output.yaml in a folder of test/golden. UPDATE=1 writes the outputs anew;
// the diff is what a reviewer reads.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { ApiError, statusOf } from '../../src/api/error.ts'

/** One test per case: `run` makes the output of an input; an ApiError thrown is its Status. */
export function goldens(folder: string, run: (input: Record<string, unknown>) => unknown): void {
  const at = new URL(`../golden/api/${folder}/`, import.meta.url)
  for (const file of readdirSync(at).filter(name => name.endsWith('.input.yaml'))) {
    const name = file.slice(0, -'.input.yaml'.length)
    const output = new URL(`${name}.output.yaml`, at)
    test(`${folder}: ${name.replaceAll('-', ' ')}`, () => {
      const input = parse(readFileSync(new URL(file, at), 'utf8')) as Record<string, unknown>
      const text = stringify(JSON.parse(JSON.stringify(outcome(run, input))), { lineWidth: 0 })
      if (process.env['UPDATE'] === '1') writeFileSync(output, text)
      expect(text).toBe(readFileSync(output, 'utf8'))
    })
  }
}

function outcome(run: (input: Record<string, unknown>) => unknown, input: Record<string, unknown>): unknown {
  try {
    return run(input)
  } catch (error) {
    if (error instanceof ApiError) return statusOf(error)
    throw error
  }
}
