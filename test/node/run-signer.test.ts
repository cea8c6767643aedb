// The signer of a cluster on a real API server: requests that people approve, and those of nodes, become certificates.
import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  type CertificateSigningRequest,
  certificateSigningRequest as requestKind,
} from '../../src/api/kinds/certificatesigningrequest.ts'
import { follow } from '../../src/client/run-follow.ts'
import { type Authority, makeAuthority, verifyClient } from '../../src/drivers/pki.ts'
import { runSigner } from '../../src/node/run-signer.ts'
import type { Identity } from '../../src/world/http.ts'
import { type Asking, asking } from '../apiserver/ask.ts'
import { installed, Kubectl } from '../apiserver/kubectl.ts'
import { type Asked, certificateRequest, requestNamed } from '../apiserver/requests.ts'
import { servedApiserver } from '../apiserver/served.ts'

let api: Awaited<ReturnType<typeof servedApiserver>>
let ask: Asking
let authority: Authority
let done: Promise<void>
const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests'

beforeEach(async () => {
  api = await servedApiserver()
  ask = asking(api)
  authority = await makeAuthority('test', Date.now())
  const about = { kind: 'resource', verb: 'create', group: 'certificates.k8s.io', namespace: '', name: '' } as const
  done = runSigner(
    {
      world: api.world,
      client: api.client,
      authority,
      may: (identity, subresource) =>
        api.apiserver.may(identity, { ...about, resource: 'certificatesigningrequests', subresource }),
    },
    api.signal,
  )
})
afterEach(async () => {
  await api.close()
  await done
})

/** The request once it is as `is` says. */
async function once(name: string, is: (request: CertificateSigningRequest) => boolean) {
  const requests = follow(api.world, api.client, requestKind, {}, {}, api.signal)
  await requests.synced
  const { promise, resolve } = Promise.withResolvers<CertificateSigningRequest>()
  const look = () => {
    const found = requests.view.get(undefined, name)
    if (found !== undefined && is(found)) resolve(found)
  }
  using _ = requests.onChange(look)
  look()
  return await promise
}

const hasCondition = (type: string) => (request: CertificateSigningRequest) =>
  (request.status.conditions ?? []).some(each => each.type === type)
const isIssued = ({ status }: CertificateSigningRequest) => status.certificate !== undefined
const pemOf = ({ status }: CertificateSigningRequest) => Buffer.from(status.certificate ?? '', 'base64').toString()

async function make(name: string, asked: Asked, spec: object = {}) {
  const body = requestNamed(name, await certificateRequest(asked), spec)
  expect((await ask(path, { body })).message).toBe('')
}

async function approve(name: string): Promise<void> {
  const body = { status: { conditions: [{ type: 'Approved', status: 'True', reason: 'Tested' }] } }
  expect((await ask(`${path}/${name}/approval`, { method: 'PATCH', body })).message).toBe('')
}

test('a client that somebody approved gets a certificate with which it gets in, for as long as it asked', async () => {
  await make('jane', { user: 'jane, O=system:masters', groups: ['devs', 'ops'] }, { expirationSeconds: 3_600 })
  await approve('jane')
  const request = await once('jane', isIssued)
  const verdict = await verifyClient(authority.certificatePem, pemOf(request), Date.now())
  expect(verdict).toMatchObject({
    kind: 'valid',
    identity: { user: 'jane, O=system:masters', groups: ['devs', 'ops'] },
  })
  const certificate = new X509Certificate(pemOf(request))
  const lifeMs = Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)
  expect(lifeMs).toBe(65 * 60_000)
  expect(certificate.ca).toBe(false)
})

test('what is not permitted fails, and says why', async () => {
  await make('serving', { user: 'jane' }, { usages: ['client auth', 'server auth'] })
  await approve('serving')
  const request = await once('serving', hasCondition('Failed'))
  expect(request.status.conditions?.find(({ type }) => type === 'Failed')).toMatchObject({
    status: 'True',
    reason: 'SignerValidationFailure',
    message: 'invalid usage for client certificate: server auth',
  })
  expect(request.status.certificate).toBeUndefined()
})

test('nobody’s request is signed before it is approved, and those of other signers never', async () => {
  await make('waits', { user: 'jane' })
  await make('other', { user: 'jane' }, { signerName: 'example.com/other' })
  await approve('other')
  await make('zz-last', { user: 'jane' })
  await approve('zz-last')
  await once('zz-last', isIssued)
  for (const name of ['waits', 'other']) expect((await ask(`${path}/${name}`)).body.status.certificate).toBeUndefined()
})

const nodeSpec = {
  signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
  usages: ['digital signature', 'key encipherment', 'client auth'],
}
const node = { user: 'system:node:a', groups: ['system:nodes'] }

test('a machine with a bootstrap token gets a certificate of its own, and renews it, by the default roles', async () => {
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const bind = async (role: string, group: string) => {
    const apiGroup = 'rbac.authorization.k8s.io'
    const roleRef = { apiGroup, kind: 'ClusterRole', name: role }
    const subjects = [{ apiGroup, kind: 'Group', name: group }]
    const body = { metadata: { name: role.replaceAll(':', '-') }, roleRef, subjects }
    expect((await ask(`${rbac}/clusterrolebindings`, { body })).message).toBe('')
  }
  await bind('system:node-bootstrapper', 'system:bootstrappers')
  await bind('system:certificates.k8s.io:certificatesigningrequests:nodeclient', 'system:bootstrappers')
  await bind('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', 'system:nodes')
  const stringData = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
  }
  const metadata = { name: 'bootstrap-token-abcdef' }
  await ask('/api/v1/namespaces/kube-system/secrets', {
    body: { metadata, type: 'bootstrap.kubernetes.io/token', stringData },
  })
  const headers = { authorization: 'Bearer abcdef.0123456789abcdef' }
  const first = requestNamed('first', await certificateRequest(node), nodeSpec)
  expect((await ask(path, { identity: null, headers, body: first })).code).toBe(201)
  const issued = await once('first', isIssued)
  expect(issued.spec.username).toBe('system:bootstrap:abcdef')
  expect(issued.status.conditions).toMatchObject([{ type: 'Approved', reason: 'AutoApproved' }])

  const own = await verifyClient(authority.certificatePem, pemOf(issued), Date.now())
  if (own.kind !== 'valid') throw new Error(own.why)
  const asks = async (name: string, identity: Identity, asked: Asked, spec: object = nodeSpec) => {
    const body = requestNamed(name, await certificateRequest(asked), spec)
    expect((await ask(path, { identity, body })).message).toBe('')
  }
  await asks('another', own.identity, { ...node, user: 'system:node:b' })
  await asks('stranger', { user: 'jane', groups: ['system:masters'] }, { ...node, groups: ['system:nodes', 'x'] })
  const usages = ['digital signature', 'server auth']
  const serving = { ...nodeSpec, signerName: 'kubernetes.io/kubelet-serving', usages }
  await asks('serving', own.identity, { ...node, dns: ['a'], ips: ['10.0.0.1'] }, serving)
  await asks('zz-renewal', own.identity, node)
  await once('zz-renewal', isIssued)
  for (const name of ['another', 'stranger', 'serving']) {
    expect((await ask(`${path}/${name}`)).body.status.conditions).toBeUndefined()
  }
  await approve('serving')
  const { subjectAltName } = new X509Certificate(pemOf(await once('serving', isIssued)))
  expect(subjectAltName).toBe('DNS:a, IP Address:10.0.0.1')
})

test.each(installed(['1.27', '1.33']))('kubectl %s certificate approve ends in a certificate', async version => {
  const kubectl = new Kubectl(version, api.kubeconfig, api.folder)
  await make('jane', { user: 'jane' })
  await kubectl.ok('certificate approve jane')
  await once('jane', isIssued)
  expect(await kubectl.ok('get csr jane --no-headers')).toMatch(/Approved,Issued$/)
  const shown = await kubectl.ok('get csr jane -o jsonpath={.status.certificate}')
  expect(Buffer.from(shown, 'base64').toString()).toMatch(/^-----BEGIN CERTIFICATE-----\n/)
})
