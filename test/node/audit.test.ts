import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultPolicy } from '../../src/apiserver/audit.ts'
import { addNodeOptions, type NodeFlags, nodeConfigOf } from '../../src/cli/options.ts'
import { openAudit } from '../../src/node/run-audit.ts'
import { testWorld } from '../apiserver/world.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const configOf = (...given: readonly string[]) =>
  nodeConfigOf(addNodeOptions(new Command()).parse(given, { from: 'user' }).opts<NodeFlags>())

test('a policy in YAML is read, and without one changes are written', async () => {
  const policy = join(folder, 'policy.yaml')
  await writeFile(policy, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Request\n  verbs: [delete]\n')
  const log = join(folder, 'audit.log')
  const { audit } = configOf('--audit-log', log, '--audit-policy', policy)
  expect(audit).toEqual({ log, policy })
  const opened = await openAudit(testWorld('a'), { log, policy })
  expect(opened.policy.rules).toEqual([{ level: 'Request', verbs: ['delete'] }])
  await opened.log.append('{}')
  expect(await readFile(log, 'utf8')).toBe('{}\n')
  expect((await openAudit(testWorld('a'), { log, policy: undefined })).policy).toBe(defaultPolicy)
})

test('what cannot be read or written ends the start, and says what to do', async () => {
  const log = join(folder, 'audit.log')
  const wrong = join(folder, 'wrong.yaml')
  await writeFile(wrong, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]\n')
  await expect(openAudit(testWorld('a'), { log, policy: wrong })).rejects.toThrow(/is wrong: rules\[0\]\.level/)
  await expect(openAudit(testWorld('a'), { log, policy: join(folder, 'none') })).rejects.toThrow(/cannot be read/)
  await expect(openAudit(testWorld('a'), { log: folder, policy: undefined })).rejects.toThrow(/cannot be written/)
  expect(() => configOf('--audit-policy', wrong)).toThrow(/--audit-log <file> must say where/)
  expect(configOf().audit).toBeUndefined()
})
