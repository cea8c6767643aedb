// What the signers of a cluster sign and for how long, which requests of nodes approve themselves, and when requests go.
import { describe, expect, test } from 'vitest'
import {
  type CertificateSigningRequest,
  certificateSigningRequest as requestKind,
} from '../../src/api/kinds/certificatesigningrequest.ts'
import { cache } from '../../src/client/cache.ts'
import { certificateCleanerController } from '../../src/controllers/certificatecleaner.ts'
import type { Context } from '../../src/controllers/controller.ts'
import {
  clientSigner,
  dueOf,
  lifeMsOf,
  nodeClientSigner,
  nodeServingSigner,
  type Requested,
  refusal,
  rightsFor,
} from '../../src/controllers/signers.ts'

const nowMs = Date.UTC(2026, 0, 2)
const hourMs = 3_600_000
const at = (ms: number) => new Date(ms).toISOString().replace('.000', '')

function request(spec: object = {}, status: object = {}, metadata: object = {}): CertificateSigningRequest {
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'r', uid: 'u', resourceVersion: '1', creationTimestamp: at(nowMs), ...metadata },
    spec: { request: '', signerName: clientSigner, usages: ['client auth'], ...spec },
    status,
  }
}

const nobody: Requested = { user: '', groups: [], dns: [], ips: [], emails: [], uris: [] }
const node: Requested = { ...nobody, user: 'system:node:a', groups: ['system:nodes'] }
const nodeUsages = ['key encipherment', 'digital signature', 'client auth']
const servingUsages = ['digital signature', 'key encipherment', 'server auth']

describe('what is signed', () => {
  test.each<[string, object, Requested, string | undefined]>([
    ['a client', {}, { ...nobody, user: 'jane' }, undefined],
    [
      'a client that would serve',
      { usages: ['client auth', 'server auth'] },
      nobody,
      'invalid usage for client certificate: server auth',
    ],
    [
      'a client that is none',
      { usages: ['digital signature'] },
      nobody,
      'missing required usage for client certificate: client auth',
    ],
    [
      'a client that would be a master',
      {},
      { ...nobody, groups: ['a', 'system:masters'] },
      'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    ],
    [
      'another signer',
      { signerName: 'kubernetes.io/legacy-unknown' },
      node,
      'kubernetes.io/legacy-unknown is no signer of this cluster',
    ],
  ])('%s', (_, spec, asked, why) => expect(refusal(request(spec), asked)).toBe(why))

  test.each<[string, Partial<Requested>, readonly string[], string | undefined]>([
    ['well', {}, nodeUsages, undefined],
    ['of an elliptic curve', {}, ['client auth', 'digital signature'], undefined],
    ['of no group', { groups: [] }, nodeUsages, 'subject organization is not system:nodes'],
    [
      'of a group more',
      { groups: ['system:nodes', 'system:masters'] },
      nodeUsages,
      'subject organization is not system:nodes',
    ],
    ['with a name', { dns: ['a'] }, nodeUsages, 'DNS subjectAltNames are not allowed'],
    ['with an address', { ips: ['10.0.0.1'] }, nodeUsages, 'IP subjectAltNames are not allowed'],
    ['with an email', { emails: ['a@b'] }, nodeUsages, 'Email subjectAltNames are not allowed'],
    ['with a URI', { uris: ['a:b'] }, nodeUsages, 'URI subjectAltNames are not allowed'],
    ['of somebody else', { user: 'jane' }, nodeUsages, 'subject common name does not begin with system:node:'],
    [
      'for serving too',
      {},
      [...nodeUsages, 'server auth'],
      'usages did not match [client auth digital signature key encipherment]',
    ],
    ['for nothing', {}, ['client auth'], 'usages did not match [client auth digital signature key encipherment]'],
  ])('a node as a client: %s', (_, asked, usages, why) => {
    expect(refusal(request({ signerName: nodeClientSigner, usages }), { ...node, ...asked })).toBe(why)
  })

  test.each<[string, Partial<Requested>, readonly string[], string | undefined]>([
    ['well', { dns: ['a'], ips: ['10.0.0.1'] }, servingUsages, undefined],
    ['under no name', {}, servingUsages, 'DNS or IP subjectAltName is required'],
    ['with an email', { dns: ['a'], emails: ['a@b'] }, servingUsages, 'Email subjectAltNames are not allowed'],
    [
      'of somebody else',
      { dns: ['a'], user: 'jane' },
      servingUsages,
      'subject common name does not begin with system:node:',
    ],
    [
      'as a client',
      { dns: ['a'] },
      nodeUsages,
      'usages did not match [digital signature key encipherment server auth]',
    ],
  ])('a node that serves: %s', (_, asked, usages, why) => {
    expect(refusal(request({ signerName: nodeServingSigner, usages }), { ...node, ...asked })).toBe(why)
  })
})

test('a certificate lives as long as was asked for, from ten minutes to a year', () => {
  const lives = [undefined, 600, 3_600, 1, 2 ** 31 - 1].map(expirationSeconds =>
    lifeMsOf(request(expirationSeconds === undefined ? {} : { expirationSeconds })),
  )
  const yearMs = 365 * 24 * hourMs
  expect(lives).toEqual([yearMs, 600_000, hourMs, 600_000, yearMs])
})

test('only what is approved, and not answered yet, is signed; only nodes’ own are looked at for approval', () => {
  const condition = (type: string) => ({ conditions: [{ type, status: 'True' }] })
  const due = (spec: object, status: object, metadata: object = {}) => dueOf(request(spec, status, metadata))
  expect(due({}, {})).toBe('nothing')
  expect(due({}, condition('Approved'))).toBe('signature')
  expect(due({}, { ...condition('Approved'), certificate: 'YQ==' })).toBe('nothing')
  expect(due({}, { conditions: ['Approved', 'Failed'].map(type => ({ type, status: 'True' })) })).toBe('nothing')
  expect(due({}, condition('Denied'))).toBe('nothing')
  expect(due({}, condition('Approved'), { deletionTimestamp: at(nowMs) })).toBe('nothing')
  expect(due({ signerName: 'example.com/own' }, condition('Approved'))).toBe('nothing')
  expect(due({ signerName: nodeClientSigner }, {})).toBe('approval')
  expect(due({ signerName: nodeServingSigner }, {})).toBe('nothing')
})

test('a node renews its own certificate by one right, and gets its first by another', () => {
  const spec = { signerName: nodeClientSigner, usages: nodeUsages }
  expect(rightsFor(request({ ...spec, username: 'system:node:a' }), node)).toEqual(['selfnodeclient', 'nodeclient'])
  expect(rightsFor(request({ ...spec, username: 'system:bootstrap:abcdef' }), node)).toEqual(['nodeclient'])
  expect(rightsFor(request({ ...spec, username: 'jane' }), { ...node, user: 'jane' })).toEqual([])
  expect(rightsFor(request({ usages: nodeUsages, username: 'system:node:a' }), node)).toEqual([])
})

test('requests go an hour after their answer, and a day after nobody gave one', () => {
  const made = (name: string, hours: number, ...conditions: readonly [string, number][]) =>
    request(
      {},
      {
        conditions: conditions.map(([type, ago]) => ({
          type,
          status: 'True',
          lastUpdateTime: at(nowMs - ago * hourMs),
        })),
        ...(name.includes('issued') && { certificate: 'YQ==' }),
      },
      { name, uid: name, creationTimestamp: at(nowMs - hours * hourMs) },
    )
  const all = [
    made('pending', 23),
    made('pending-old', 24),
    made('denied', 30, ['Denied', 0.5]),
    made('denied-old', 2, ['Denied', 1]),
    made('failed-old', 3, ['Approved', 2], ['Failed', 1]),
    made('issued', 30, ['Approved', 0.5]),
    made('issued-old', 2, ['Approved', 1]),
    made('approved', 30, ['Approved', 23]),
    made('approved-old', 30, ['Approved', 24]),
  ]
  const requests = cache<CertificateSigningRequest>()
  requests.reset(all, 1)
  const plan = certificateCleanerController.plan('*', { requests }, { nowMs } as Context)
  const gone = plan.changes.map(change =>
    change.kind === 'delete' && change.of === requestKind ? change.key.name : '?',
  )
  expect(gone.toSorted()).toEqual(['approved-old', 'denied-old', 'failed-old', 'issued-old', 'pending-old'])
  expect(plan.againAtMs).toBe(nowMs + hourMs / 2)
})
