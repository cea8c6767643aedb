// Takes each guard of guards.ts away, one at a time, in a copy of the tree, and demands that its test fails there. A test that
// passes without what it tests tests nothing.
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Guard, guards } from './guards.ts'

const help = `node test/guards/run.ts [--only ROW]…: takes guards away one by one and runs the tests that must then fail.

  --only ROW   the guards of this row alone (A5); may be given several times
  --help       this text

Ends with a table. The exit code is 0 when every test passes with its guard and fails without it.

Example:
  node test/guards/run.ts --only A5 --only D6`

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: [] }, help: { type: 'boolean', default: false } },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}
const only = new Set(values.only)
const chosen = guards.filter(({ row }) => only.size === 0 || only.has(row))
if (chosen.length === 0) {
  console.error(
    `no guard has a row of ${[...only].join(', ')}; there are ${[...new Set(guards.map(({ row }) => row))]}`,
  )
  process.exit(2)
}

const root = resolve(import.meta.dirname, '..', '..')
const copy = mkdtempSync(join(tmpdir(), 'flotilla-guards-'))
process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => process.exit(1))
for (const name of ['src', 'test', 'examples', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
  cpSync(join(root, name), join(copy, name), { recursive: true })
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))

type Ran = { readonly passed: readonly string[]; readonly failed: readonly string[] }

/** Of the tests of a file whose full name holds `name`. */
function run(file: string, name: string): Ran {
  const out = join(copy, 'result.json')
  rmSync(out, { force: true })
  const pattern = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const vitest = join(root, 'node_modules', '.bin', 'vitest')
  const args = [
    'run',
    `test/${file}`,
    '-t',
    pattern,
    '--testTimeout',
    '45000',
    '--reporter',
    'json',
    '--outputFile',
    out,
  ]
  spawnSync(vitest, args, { cwd: copy, stdio: 'ignore' })
  const read = JSON.parse(readFileSync(out, 'utf8')) as {
    readonly testResults: readonly {
      readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
    }[]
  }
  const all = read.testResults.flatMap(({ assertionResults }) => assertionResults)
  const of = (status: string) => all.filter(one => one.status === status).map(({ fullName }) => fullName)
  return { passed: of('passed'), failed: of('failed') }
}

const sound = new Map<string, string | undefined>()

/** What is wrong with the test while the guard is there; undefined: nothing. */
function withGuard({ test, name }: Guard): string | undefined {
  const key = `${test} ${name}`
  if (!sound.has(key)) {
    const { passed, failed } = run(test, name)
    const none = passed.length === 0 ? 'there is no such test' : undefined
    sound.set(key, failed.length > 0 ? 'fails with the guard, too' : none)
  }
  return sound.get(key)
}

function withoutGuard(guard: Guard): string | undefined {
  const path = join(copy, 'src', guard.file)
  const before = readFileSync(path, 'utf8')
  const parts = before.split(guard.text)
  if (parts.length !== 2) return `the text stands there ${parts.length - 1} times`
  writeFileSync(path, parts.join(guard.becomes))
  try {
    const { passed, failed } = run(guard.test, guard.name)
    if (failed.length > 0) return undefined
    return passed.length > 0 ? 'PASSES without the guard' : 'nothing ran: is what replaces the guard no program?'
  } finally {
    writeFileSync(path, before)
  }
}

const commit = execFileSync('git', ['-C', root, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
console.log(`${chosen.length} guards at ${commit}`)
const lines: string[] = []
let wrongCount = 0
for (const [i, guard] of chosen.entries()) {
  const begunMs = performance.now()
  const wrong = withGuard(guard) ?? withoutGuard(guard)
  if (wrong !== undefined) wrongCount += 1
  const seconds = ((performance.now() - begunMs) / 1_000).toFixed(0)
  console.log(`${i + 1}/${chosen.length} ${guard.row} ${guard.name}: ${wrong ?? 'fails without it'} (${seconds} s)`)
  lines.push(`| ${guard.row} | ${guard.file} | ${guard.name} | ${wrong ?? 'fails'} |`)
}
console.log(`\n| row | guard in | test | without the guard |\n| --- | --- | --- | --- |\n${lines.join('\n')}`)
console.log(`\n${chosen.length - wrongCount} shown, ${wrongCount} wrong`)
process.exit(wrongCount === 0 ? 0 : 1)
