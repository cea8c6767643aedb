// Runs a test file again inside network, mount and PID namespaces of its own: what it does to interfaces, routes and mounts
// is gone with it, and so is every process it leaves behind. For tests that need root.
import { spawnSync } from 'node:child_process'
import { readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const mark = 'FLOTILLA_TEST_NAMESPACES'

/** True inside. Outside it declares one test that runs `file` inside, or skips and says why (fails when CI is set). */
export function insideNamespaces(file: string, prefix: string, missing: string | undefined): boolean {
  if (process.env[mark] === file) return true
  if (missing !== undefined) {
    console.log(`skipped: ${file}: ${missing}`)
    test.skipIf(process.env['CI'] !== 'true')(`needs what is not here: ${missing}`, () => expect(missing).toBe(''))
    return false
  }
  test('holds in namespaces of its own', { timeout: 600_000 }, () => {
    const script =
      'mount --make-rshared / && ip link set lo up && sysctl -qw net.ipv4.ip_forward=1 && { "$@" & wait $!; }'
    const vitest = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs')
    // `-t` picks among the tests outside; inside it is this variable.
    const wanted = process.env['FLOTILLA_TEST_FILTER']
    const filter = wanted === undefined ? [] : ['-t', wanted]
    const ran = spawnSync(
      'unshare',
      [
        ...['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script, 'sh'],
        ...[process.execPath, vitest, 'run', file, ...filter],
      ],
      { env: insideEnvironment(file), stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' },
    )
    removeGroups(prefix)
    console.log(ran.stdout)
    expect(ran.status, ran.stdout + ran.stderr).toBe(0)
  })
  return false
}

function insideEnvironment(file: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST') && name !== 'TEST')
  return { ...Object.fromEntries(own), [mark]: file, NO_COLOR: '1' }
}

/** cgroups have no namespace here: what the daemon inside left empty is taken away by name. */
export function removeGroups(prefix: string): void {
  const root = '/sys/fs/cgroup'
  for (const controller of readdirSync(root))
    for (const base of [root, join(root, controller)])
      try {
        for (const name of readdirSync(base)) if (name.startsWith(prefix)) removeTree(join(base, name))
      } catch {
        // Not a folder.
      }
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name))
  try {
    rmdirSync(folder)
  } catch {
    // Still in use: the next run takes it.
  }
}
