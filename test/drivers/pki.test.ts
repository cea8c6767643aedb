import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect as netConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { importPKCS8, importSPKI, jwtVerify, SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import {
  type Authority,
  adminIdentity,
  certificateHash,
  describeCertificate,
  issueClient,
  issueServing,
  makeAuthority,
  makeSigningKey,
  needsRenewal,
  publicPemOf,
  verifyClient,
} from '../../src/drivers/pki.ts'
// libp2p's TLS sets a crypto provider of its own for the certificate library: both must work side by side.
import '@libp2p/tls'

const nowMs = Date.now()
const dayMs = 86_400_000
let authority: Authority
beforeAll(async () => {
  authority = await makeAuthority('flotilla test', nowMs)
})

const names = { nodeName: 'node-1', hosts: ['192.0.2.7', '2001:db8::7', 'nas.local'], serviceIp: '10.96.0.1' }

test('a TLS client that trusts the authority accepts the peer under each of its names, and under no other', async () => {
  const { certificatePem, keyPem } = await issueServing(authority, names, nowMs)
  const server = createServer({ cert: certificatePem, key: keyPem }, socket => socket.end('hi'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const ask = (host: string) =>
    new Promise<string>(resolve => {
      const socket = connect({
        socket: netConnect(port, '127.0.0.1'),
        ca: authority.certificatePem,
        servername: '',
        host,
      })
      socket.on('data', data => resolve(data.toString()))
      socket.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? error.message))
    })
  for (const host of [
    'localhost',
    '127.0.0.1',
    '::1',
    'node-1',
    '192.0.2.7',
    '2001:db8::7',
    'nas.local',
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    '10.96.0.1',
  ]) {
    expect([host, await ask(host)]).toEqual([host, 'hi'])
  }
  expect(await ask('evil.example')).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  server.close()
})

test('a TLS server takes a client certificate of this authority, refuses a serving certificate and another authority', async () => {
  const serving = await issueServing(authority, names, nowMs)
  const stranger = await makeAuthority('flotilla test', nowMs)
  const server = createServer(
    {
      cert: serving.certificatePem,
      key: serving.keyPem,
      ca: authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    socket => socket.end(String((socket as TLSSocket).authorized)),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const ask = (client: { certificatePem: string; keyPem: string }) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        ca: authority.certificatePem,
        cert: client.certificatePem,
        key: client.keyPem,
      })
      socket.on('data', data => resolve(data.toString()))
      socket.on('error', reject)
    })
  expect(await ask(await issueClient(authority, adminIdentity, nowMs))).toBe('true')
  expect(await ask(serving)).toBe('false')
  expect(await ask(await issueClient(stranger, adminIdentity, nowMs))).toBe('false')
  server.close()
})

test('a client certificate speaks for its user and groups, whatever characters they hold', async () => {
  const identity = { user: 'CN=root,O=system:masters', groups: ['a, O=system:masters', 'b+c', 'ünïcode'] }
  const { certificatePem } = await issueClient(authority, identity, nowMs)
  expect(await verifyClient(authority.certificatePem, certificatePem, nowMs)).toMatchObject({ kind: 'valid', identity })
  const admin = await issueClient(authority, adminIdentity, nowMs)
  expect(await verifyClient(authority.certificatePem, admin.certificatePem, nowMs)).toMatchObject({
    identity: { user: 'kubernetes-admin', groups: ['system:masters'] },
  })
})

test('what is no good client certificate is refused with the reason', async () => {
  const why = async (certificate: string | Uint8Array, atMs = nowMs) => {
    const verdict = await verifyClient(authority.certificatePem, certificate, atMs)
    return verdict.kind === 'valid' ? 'valid' : verdict.why
  }
  const client = await issueClient(authority, adminIdentity, nowMs)
  const serving = await issueServing(authority, names, nowMs)
  // The same name, another key: the signature decides.
  const stranger = await makeAuthority('flotilla test', nowMs)
  expect(await why(client.certificatePem)).toBe('valid')
  expect(await why(serving.certificatePem)).toBe('not-for-clients')
  expect(await why(client.certificatePem, nowMs + 366 * dayMs)).toBe('expired')
  expect(await why(client.certificatePem, nowMs - dayMs)).toBe('not-yet-valid')
  expect(await why((await issueClient(stranger, adminIdentity, nowMs)).certificatePem)).toBe('other-authority')
  expect(await why('not a certificate')).toBe('unreadable')
  expect(await why(new Uint8Array(100))).toBe('unreadable')
  expect(await why((await issueClient(authority, { user: '', groups: [] }, nowMs)).certificatePem)).toBe('no-user')
})

test('nothing outlives the authority, serials differ, and renewal is due at two thirds or for a new host', async () => {
  const { certificatePem } = await issueServing(authority, names, nowMs)
  const late = await issueServing(authority, names, nowMs + 3600 * dayMs)
  expect(describeCertificate(late.certificatePem).notAfterMs).toBe(
    describeCertificate(authority.certificatePem).notAfterMs,
  )
  expect(describeCertificate(certificatePem).serial).not.toBe(describeCertificate(late.certificatePem).serial)
  expect(needsRenewal(certificatePem, nowMs)).toBe(false)
  expect(needsRenewal(certificatePem, nowMs + 250 * dayMs)).toBe(true)
  expect(needsRenewal(certificatePem, nowMs, ['192.0.2.7', 'nas.local', '2001:db8::7'])).toBe(false)
  expect(needsRenewal(certificatePem, nowMs, ['192.0.2.8'])).toBe(true)
  expect(certificateHash(authority.certificatePem)).toMatch(/^[0-9a-f]{64}$/)
})

test('OpenSSL accepts what we issue', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flotilla-pki-'))
  try {
    const file = (name: string, content: string) => {
      writeFileSync(join(folder, name), content)
      return join(folder, name)
    }
    const ca = file('ca.pem', authority.certificatePem)
    const serving = file('serving.pem', (await issueServing(authority, names, nowMs)).certificatePem)
    const client = file('client.pem', (await issueClient(authority, adminIdentity, nowMs)).certificatePem)
    const verify = (...options: string[]) =>
      execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', ca, ...options], { encoding: 'utf8' })
    expect(verify('-purpose', 'sslserver', serving)).toContain('OK')
    expect(verify('-purpose', 'sslclient', client)).toContain('OK')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('the service-account key signs tokens that its public half verifies', async () => {
  const { privatePem, publicPem } = makeSigningKey()
  expect(publicPemOf(privatePem)).toBe(publicPem)
  const token = await new SignJWT({ sub: 'system:serviceaccount:default:default' })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(await importPKCS8(privatePem, 'ES256'))
  const { payload } = await jwtVerify(token, await importSPKI(publicPem, 'ES256'))
  expect(payload.sub).toBe('system:serviceaccount:default:default')
})
