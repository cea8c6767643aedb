import { expect, test } from 'vitest'
import { makeAuthority } from '../../src/drivers/pki.ts'
import {
  type Greeting,
  judge,
  type SignedSuccession,
  type Succession,
  signSuccession,
  verifiedSuccession,
} from '../../src/node/succession.ts'

const authority = await makeAuthority('home', Date.now())
const stranger = await makeAuthority('home', Date.now())
const authorityPem = authority.certificatePem

function succession(from: readonly string[], to: string, node = 'nas'): Succession {
  return { from, to, how: 'recover', peer: `peer-${node}`, node, atMs: 1, term: 2, index: 3, revision: 4 }
}
const signed = (...args: Parameters<typeof succession>): SignedSuccession =>
  signSuccession(succession(...args), authority.keyPem)
const of = (clusterId: string, told?: SignedSuccession, led = false): Greeting => ({
  clusterId,
  node: 'n',
  led,
  ...(told !== undefined && { succession: told }),
})
const verdict = (own: Greeting, theirs: Greeting, pem: string | undefined = authorityPem) =>
  judge({ ...own, authorityPem: pem }, theirs).kind

test('what the authority signed holds, and not a word of it may be changed', () => {
  const whole = signed(['c1'], 'c2')
  expect(verifiedSuccession(whole, authorityPem)).toEqual(whole.succession)
  expect(verifiedSuccession(JSON.parse(JSON.stringify(whole)), authorityPem)).toEqual(whole.succession)
  for (const change of [
    { from: ['c0'] },
    { to: 'c3' },
    { node: 'pi' },
    { peer: 'x' },
    { atMs: 2 },
    { how: 'restore' },
  ]) {
    const bent = { ...whole, succession: { ...whole.succession, ...change } }
    expect(verifiedSuccession(bent, authorityPem)).toBeUndefined()
  }
  expect(verifiedSuccession(whole, stranger.certificatePem)).toBeUndefined()
  for (const nonsense of [undefined, null, 7, {}, { succession: {}, signature: '' }, { ...whole, signature: 'AAAA' }]) {
    expect(verifiedSuccession(nonsense, authorityPem)).toBeUndefined()
  }
})

test('one that has no leader gives way to the cluster that took the place of its own, however many steps on', () => {
  expect(verdict(of('c1'), of('c1'))).toBe('same')
  expect(verdict(of('c1'), of('c2', signed(['c1'], 'c2')))).toBe('abandoned')
  expect(verdict(of('c1'), of('c3', signed(['c1', 'c2'], 'c3')))).toBe('abandoned')
  expect(verdict(of('c2', signed(['c1'], 'c2')), of('c3', signed(['c1', 'c2'], 'c3')))).toBe('abandoned')
})

test('one that has a leader does not: a person decides', () => {
  expect(verdict(of('c1', undefined, true), of('c2', signed(['c1'], 'c2')))).toBe('conflict')
  expect(verdict(of('c2', signed(['c1'], 'c2'), true), of('c1', undefined, true))).toBe('conflict')
})

test('two that began again on their own do not give way to each other', () => {
  const [a, b] = [of('c2', signed(['c1'], 'c2', 'nas')), of('c3', signed(['c1'], 'c3', 'pi'))]
  expect(verdict(a, b)).toBe('conflict')
  expect(verdict(b, a)).toBe('conflict')
})

test('without a proof nobody gives way', () => {
  expect(verdict(of('c1'), of('c2'))).toBe('foreign')
  // Signed by another authority, about another cluster, or about a third.
  const forged = signSuccession(succession(['c1'], 'c2'), stranger.keyPem)
  expect(verdict(of('c1'), of('c2', forged))).toBe('foreign')
  expect(verdict(of('c1'), of('c2', signed(['c0'], 'c2')))).toBe('foreign')
  expect(verdict(of('c1'), of('c2', signed(['c1'], 'c3')))).toBe('foreign')
  expect(judge({ ...of('c1'), authorityPem: undefined }, of('c2', signed(['c1'], 'c2'))).kind).toBe('foreign')
})

test('who is met by its own past tells it so', () => {
  expect(verdict(of('c2', signed(['c1'], 'c2'), true), of('c1'))).toBe('outdated')
})
