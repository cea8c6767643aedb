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

async function make(name: string, asked: Asked, spec: object = {}, identity?: { user: string; groups: string[] }) {
  const body = requestNamed(name, await certificateRequest(asked), spec)
  const made = await ask(path, { body, ...(identity && { identity }) })
  expect(made.message).toBe('')
  return made.body as CertificateSigningRequest
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

test('a request of a node for a client certificate is approved and signed where a role says that it may be', async () => {
  const binding = (role: string, group: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: role.replaceAll(':', '-') },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }],
  })
  const rule = (subresource: string) => ({
    apiGroups: ['certificates.k8s.io'],
    resources: [`certificatesigningrequests/${subresource}`],
    verbs: ['create'],
  })
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  for (const subresource of ['nodeclient', 'selfnodeclient']) {
    const metadata = { name: `test:${subresource}` }
    const role = await ask(`${rbac}/clusterroles`, { body: { metadata, rules: [rule(subresource)] } })
    expect(role.message).toBe('')
  }
  await ask(`${rbac}/clusterrolebindings`, { body: binding('test:nodeclient', 'test:newcomers') })
  await ask(`${rbac}/clusterrolebindings`, { body: binding('test:selfnodeclient', 'system:nodes') })

  // They ask by the in-process client, which nobody holds back: what is tested is the approval.
  const asks = async (
    name: string,
    identity: { user: string; groups: string[] },
    asked: Asked,
    spec: object = nodeSpec,
  ) => {
    const body = requestNamed(name, await certificateRequest(asked), spec)
    await api.apiserver.client(identity).create(requestKind, body, api.signal)
  }
  await asks('first', { user: 'system:bootstrap:abcdef', groups: ['test:newcomers'] }, node)
  await asks('zz-again', node, node)
  await asks('another', node, { ...node, user: 'system:node:b' })
  await asks('stranger', { user: 'jane', groups: [] }, node)
  const served = { ...node, dns: ['a'], ips: ['10.0.0.1'] }
  const serving = {
    ...nodeSpec,
    signerName: 'kubernetes.io/kubelet-serving',
    usages: ['digital signature', 'server auth'],
  }
  await asks('serving', node, served, serving)

  const first = await once('first', isIssued)
  expect(first.status.conditions).toMatchObject([{ type: 'Approved', reason: 'AutoApproved' }])
  await once('zz-again', isIssued)
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
