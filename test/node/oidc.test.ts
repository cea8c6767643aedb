import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addNodeOptions, type NodeFlags, nodeConfigOf } from '../../src/cli/options.ts'
import { readOidc } from '../../src/node/run-oidc.ts'

const oidcOf = (...given: readonly string[]) =>
  nodeConfigOf(addNodeOptions(new Command()).parse(given, { from: 'user' }).opts<NodeFlags>()).oidc
const provider = ['--oidc-issuer-url', 'https://login.test', '--oidc-client-id', 'kubernetes']

test('nobody logs in elsewhere unless somebody says where', () => {
  expect(oidcOf()).toBeUndefined()
})

test('the flags of upstream say who is who', () => {
  const more = ['--oidc-username-claim', 'email', '--oidc-username-prefix', '-', '--oidc-groups-claim', 'teams']
  const rest = [
    '--oidc-groups-prefix',
    'oidc:',
    '--oidc-required-claim',
    'hd=home',
    'a=b=c',
    '--oidc-ca-file',
    'ca.pem',
  ]
  expect(oidcOf(...provider, ...more, ...rest, '--oidc-signing-algs', 'RS256,ES256')).toEqual({
    issuerUrl: 'https://login.test',
    clientId: 'kubernetes',
    usernameClaim: 'email',
    usernamePrefix: '-',
    groupsClaim: 'teams',
    groupsPrefix: 'oidc:',
    requiredClaims: { hd: 'home', a: 'b=c' },
    signingAlgorithms: ['RS256', 'ES256'],
    caFile: 'ca.pem',
  })
})

test.each([
  [['--oidc-client-id', 'a'], '--oidc-issuer-url <url>'],
  [['--oidc-groups-claim', 'a'], '--oidc-issuer-url <url>'],
  [['--oidc-issuer-url', 'http://login.test', '--oidc-client-id', 'a'], 'must be an https URL'],
  [[...provider, '--oidc-signing-algs', 'RS256,none'], 'none is none of the algorithms'],
  [[...provider, '--oidc-required-claim', 'hd'], 'say claim=value'],
])('%j is refused, and says what to do', (given, why) => {
  expect(() => oidcOf(...given)).toThrow(why)
})

test('the authority is read from its file, which must be there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'oidc-'))
  const caFile = join(folder, 'ca.pem')
  const config = { issuerUrl: 'https://login.test', clientId: 'a' }
  await expect(readOidc({ ...config, caFile })).rejects.toThrow(/--oidc-ca-file .* cannot be read/)
  await writeFile(caFile, 'PEM')
  expect(await readOidc({ ...config, caFile })).toEqual({ ...config, caPem: 'PEM' })
  expect(await readOidc({ ...config, caFile: undefined })).toEqual(config)
  await rm(folder, { recursive: true })
})
