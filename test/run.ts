// `npm test`: everything that this machine can run, one step after the other; what it cannot run is listed with the reason.
// With CI=true a missing Docker, kubectl or root is a failure. Ends with the line `N passed, N failed`.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'

const ci = process.env['CI'] === 'true'
const root = path.resolve(import.meta.dirname, '..')
const bin = (name: string) => path.join(root, 'node_modules', '.bin', name)
const scratch = mkdtempSync(path.join(tmpdir(), 'flotilla-test-'))

type Outcome = {
  readonly name: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly failures: readonly string[]
  readonly seconds: number
}

if (process.argv.includes('--help')) {
  console.log(
    `npm test [-- STEP…]: runs the steps in order, or those named: ${'types lint unit sim start e2e'}\n\nExample:\n  npm test -- unit e2e`,
  )
  process.exit(0)
}

function has(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const isRoot = process.getuid?.() === 0
const lacks = [
  ...(process.platform === 'linux' ? [] : ['Linux']),
  ...(isRoot ? [] : ['root']),
  ...(has('dockerd', '--version') ? [] : ['dockerd']),
  ...(has('nft', '--version') ? [] : ['nft']),
  ...(has('ip', '-V') ? [] : ['ip']),
  ...(has('kubectl', 'version', '--client') ? [] : ['kubectl']),
]

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    })
    child.once('error', reject)
    child.once('exit', code => resolve(code ?? 1))
  })
}

/** One command that holds or does not. */
async function single(command: string, args: readonly string[]) {
  const code = await run(command, args)
  const failures = code === 0 ? [] : [`${path.basename(command)} ${args.join(' ')}: exit code ${code}`]
  return { passed: code === 0 ? 1 : 0, failed: failures.length, skipped: 0, failures }
}

type Report = {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

/** File, name and first lines of each failure: told again at the very end, where a long log is read first. */
function failuresOf(report: Report): string[] {
  const shown = (message: string) => message.split('\n').slice(0, 25).join('\n    ')
  return report.testResults.flatMap(file => {
    const name = path.relative(root, file.name)
    const failed = file.assertionResults.filter(({ status }) => status === 'failed')
    if (failed.length === 0) return file.status === 'failed' ? [`${name}\n    ${shown(file.message)}`] : []
    return failed.map(test => `${name} > ${test.fullName}\n    ${shown(test.failureMessages.join('\n'))}`)
  })
}

async function vitest(config: string) {
  const report = path.join(scratch, `${path.basename(config)}.json`)
  const code = await run(bin('vitest'), [
    'run',
    `--config=${config}`,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ])
  const read = JSON.parse(readFileSync(report, 'utf8')) as Report
  const failures = failuresOf(read)
  // An error outside of every test counts no test as failed; the exit code says so.
  if (code !== 0 && failures.length === 0) failures.push(`${config}: exit code ${code}; the error is in the log above`)
  const failed = code === 0 ? read.numFailedTests : Math.max(1, read.numFailedTests)
  return { passed: read.numPassedTests, failed, skipped: read.numPendingTests, failures }
}

type Counts = Pick<Outcome, 'passed' | 'failed' | 'skipped' | 'failures'>
const steps: Readonly<Record<string, () => Promise<Counts>>> = {
  types: () => single(bin('tsc'), []),
  lint: () => single(bin('biome'), ['ci', '--error-on-warnings', '.']),
  unit: () => vitest('vitest.config.ts'),
  sim: () => single(process.execPath, ['test/sim/main.ts', '--seeds', '40']),
  start: () => vitest('test/e2e/start.config.ts'),
  e2e: async () => {
    if (lacks.length === 0) return await vitest('test/e2e/e2e.config.ts')
    console.log(`not run: the end-to-end tests on several hosts, for want of ${lacks.join(', ')}`)
    return {
      passed: 0,
      failed: ci ? 1 : 0,
      skipped: ci ? 0 : 1,
      failures: ci ? [`for want of ${lacks.join(', ')}`] : [],
    }
  },
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => steps[name] === undefined)
if (unknown.length > 0) throw new Error(`no step ${unknown.join(', ')}: there are ${Object.keys(steps).join(', ')}`)
const outcomes: Outcome[] = []
for (const [name, step] of Object.entries(steps)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`\n=== ${name}`)
  const startedMs = Date.now()
  const counts = await step().catch(error => {
    console.error(error)
    return { passed: 0, failed: 1, skipped: 0, failures: [String(error)] }
  })
  outcomes.push({ name, ...counts, seconds: Math.round((Date.now() - startedMs) / 1_000) })
}
rmSync(scratch, { recursive: true, force: true })

for (const { name, failures } of outcomes) {
  for (const failure of failures) console.log(`\nfailed in ${name}: ${failure}`)
}
console.log('\nstep      passed   failed   skipped   seconds')
for (const { name, passed, failed, skipped, seconds } of outcomes) {
  console.log(
    `${name.padEnd(10)}${String(passed).padEnd(9)}${String(failed).padEnd(9)}${String(skipped).padEnd(10)}${seconds}`,
  )
}
const sum = (key: 'passed' | 'failed') => outcomes.reduce((total, outcome) => total + outcome[key], 0)
console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
process.exitCode = sum('failed') === 0 ? 0 : 1
