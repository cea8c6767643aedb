// The cluster's certificates: one authority, a serving certificate per peer, client certificates for people and programs, and
// the key that signs service-account tokens. All go in and out as PEM text. ECDSA P-256 throughout, small and quick on a Pi.
// Random serials, no names taken from what a client says (k3s, CVE-2023-32187), client and serving certificates cannot
// stand in for one another.
import 'reflect-metadata'
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'
import type { Bytes } from '../lib/bytes.ts'

export type Authority = { readonly certificatePem: string; readonly keyPem: string }
export type Issued = { readonly certificatePem: string; readonly keyPem: string }
/** Signs service-account tokens with ES256. */
export type SigningKey = { readonly privatePem: string; readonly publicPem: string }
export type ClientIdentity = { readonly user: string; readonly groups: readonly string[] }

const dayMs = 24 * 60 * 60 * 1000
export const authorityLifeMs = 3650 * dayMs
export const servingLifeMs = 365 * dayMs
export const clientLifeMs = 365 * dayMs
/** Peers' clocks differ: a certificate is good from a little before it was made. */
const backdateMs = 60 * 60 * 1000
/** Of those that are asked for, which may live for ten minutes only. */
const requestBackdateMs = 5 * 60 * 1000

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
// Given to each call by hand: libp2p's TLS sets another provider for the whole process.
const provider = webcrypto
const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags

/** A new certificate authority. Its key is worth the whole cluster. */
export async function makeAuthority(name: string, nowMs: number): Promise<Authority> {
  const keys = await provider.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: [{ CN: [name] }],
      notBefore: wholeSeconds(nowMs - backdateMs),
      notAfter: wholeSeconds(nowMs + authorityLifeMs),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(digitalSignature | keyCertSign | cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, provider),
      ],
    },
    provider,
  )
  return { certificatePem: pemText(certificate.toString('pem')), keyPem: await keyText(keys.privateKey) }
}

export type ServingNames = {
  readonly nodeName: string
  /** The node's own addresses, and names under which people reach it. */
  readonly hosts: readonly string[]
  /** The address of the service `kubernetes`, the first of the service range. */
  readonly serviceIp: string
  /** Default: cluster.local. */
  readonly clusterDomain?: string
}

/** What one peer's API server shows. Good for every name under which the API is reached through that peer. */
export function issueServing(authority: Authority, names: ServingNames, nowMs: number): Promise<Issued> {
  const domain = names.clusterDomain ?? 'cluster.local'
  const all = new Set([
    'localhost',
    '127.0.0.1',
    '::1',
    names.nodeName,
    ...names.hosts,
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${domain}`,
    names.serviceIp,
  ])
  const alternatives = [...all].map(value =>
    isIP(value) === 0 ? { type: 'dns' as const, value } : { type: 'ip' as const, value },
  )
  return issue(authority, { CN: [names.nodeName], O: ['flotilla:peers'] }, servingLifeMs, nowMs, [
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(alternatives),
  ])
}

/** A client certificate: the user is the common name, each group an organisation, as Kubernetes reads them. */
export function issueClient(
  authority: Authority,
  identity: ClientIdentity,
  nowMs: number,
  lifeMs = clientLifeMs,
): Promise<Issued> {
  return issue(authority, { CN: [identity.user], O: [...identity.groups] }, lifeMs, nowMs, [
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
  ])
}

/** The one that `flotilla init` hands out: may do everything. */
export const adminIdentity: ClientIdentity = { user: 'kubernetes-admin', groups: ['system:masters'] }

export function makeSigningKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
}

/** The public half of a private key in PEM. */
export function publicPemOf(privatePem: string): string {
  return createPublicKey(createPrivateKey(privatePem)).export({ type: 'spki', format: 'pem' }).toString()
}

/** SHA-256 over the DER form, in hex: what a join token and `discovery-token-ca-cert-hash` style checks pin. */
export function certificateHash(pem: string): string {
  return createHash('sha256')
    .update(new Uint8Array(new x509.X509Certificate(pem).rawData))
    .digest('hex')
}

export type Verdict =
  | { readonly kind: 'valid'; readonly identity: ClientIdentity; readonly notAfterMs: number }
  | {
      readonly kind: 'invalid'
      readonly why: 'unreadable' | 'other-authority' | 'not-yet-valid' | 'expired' | 'not-for-clients' | 'no-user'
    }

/** Who a client certificate speaks for. `certificate` is PEM or DER, for example what a TLS socket gives as `raw`. */
export async function verifyClient(authorityPem: string, certificate: string | Bytes, nowMs: number): Promise<Verdict> {
  try {
    const authority = new x509.X509Certificate(authorityPem)
    const given = new x509.X509Certificate(
      typeof certificate === 'string' ? certificate : Uint8Array.from(certificate).buffer,
    )
    const issuedHere =
      given.issuer === authority.subject &&
      (await given.verify({ publicKey: authority.publicKey, signatureOnly: true }, provider))
    if (!issuedHere) return { kind: 'invalid', why: 'other-authority' }
    if (given.notBefore.getTime() > nowMs) return { kind: 'invalid', why: 'not-yet-valid' }
    if (given.notAfter.getTime() < nowMs) return { kind: 'invalid', why: 'expired' }
    const usage = given.getExtension(x509.ExtendedKeyUsageExtension)
    if (usage === null || !usage.usages.includes(x509.ExtendedKeyUsage.clientAuth)) {
      return { kind: 'invalid', why: 'not-for-clients' }
    }
    const [user] = given.subjectName.getField('CN')
    if (user === undefined || user === '') return { kind: 'invalid', why: 'no-user' }
    const groups = given.subjectName.getField('O')
    return { kind: 'valid', identity: { user, groups }, notAfterMs: given.notAfter.getTime() }
  } catch {
    // The library throws on anything that is not a certificate; whose fault it is is not ours to know.
    return { kind: 'invalid', why: 'unreadable' }
  }
}

/** What somebody asks to have certified (PKCS #10). */
export type RequestFacts = {
  /** The common name; '' when there is none, or more than one. */
  readonly user: string
  readonly groups: readonly string[]
  readonly dns: readonly string[]
  readonly ips: readonly string[]
  readonly emails: readonly string[]
  readonly uris: readonly string[]
}

/** Undefined when `der` is no request, or was not signed with the key that it names. */
export async function readRequest(der: Bytes): Promise<RequestFacts | undefined> {
  try {
    const request = new x509.Pkcs10CertificateRequest(Uint8Array.from(der))
    if (!(await request.verify(provider))) return undefined
    const users = request.subjectName.getField('CN')
    const names = alternativeNames(request)
    const of = (type: x509.GeneralNameType) => names.filter(name => name.type === type).map(({ value }) => value)
    return {
      user: users.length === 1 ? (users[0] ?? '') : '',
      groups: request.subjectName.getField('O'),
      dns: of('dns'),
      ips: of('ip'),
      emails: of('email'),
      uris: of('url'),
    }
  } catch {
    // The library throws on anything that is not a request, and on keys that it does not know.
    return undefined
  }
}

export type CertifiedUse = 'digital signature' | 'key encipherment' | 'client auth' | 'server auth'

/** A certificate for the key of a request, with its subject and alternative names: whoever calls has judged them. */
export async function signRequest(
  authority: Authority,
  der: Bytes,
  uses: readonly CertifiedUse[],
  lifeMs: number,
  nowMs: number,
): Promise<string> {
  const request = new x509.Pkcs10CertificateRequest(Uint8Array.from(der))
  const names = alternativeNames(request)
  const flags =
    (uses.includes('digital signature') ? digitalSignature : 0) |
    (uses.includes('key encipherment') ? x509.KeyUsageFlags.keyEncipherment : 0)
  const extended = [
    ...(uses.includes('client auth') ? [x509.ExtendedKeyUsage.clientAuth] : []),
    ...(uses.includes('server auth') ? [x509.ExtendedKeyUsage.serverAuth] : []),
  ]
  const span = { fromMs: nowMs - requestBackdateMs, toMs: nowMs + lifeMs }
  const publicKey = await request.publicKey.export(provider)
  return sealed(authority, request.subjectName.toJSON(), publicKey, span, [
    ...(flags === 0 ? [] : [new x509.KeyUsagesExtension(flags, true)]),
    new x509.ExtendedKeyUsageExtension(extended),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
  ])
}

const alternativeNameOid = '2.5.29.17'
const namesKnown: readonly x509.GeneralNameType[] = ['dns', 'ip', 'email', 'url']

/** Those of the four types that anybody reads; a request may ask for others, and does not get them. */
function alternativeNames(request: x509.Pkcs10CertificateRequest): x509.JsonGeneralNames {
  const extension = request.getExtension(alternativeNameOid)
  if (extension === null) return []
  const { names } = new x509.SubjectAlternativeNameExtension(extension.rawData)
  return names.toJSON().filter(({ type }) => namesKnown.includes(type))
}

export type CertificateFacts = {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly serial: string
  /** Names and addresses, as they were asked for. */
  readonly hosts: readonly string[]
  readonly subject: string
}

/** Throws when `pem` is no certificate. */
export function describeCertificate(pem: string): CertificateFacts {
  const certificate = new x509.X509Certificate(pem)
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)
  return {
    notBeforeMs: certificate.notBefore.getTime(),
    notAfterMs: certificate.notAfter.getTime(),
    serial: certificate.serialNumber,
    hosts: names?.names.items.map(name => name.value) ?? [],
    subject: certificate.subject,
  }
}

/** True when two thirds of its life are over, or a host is missing: time to issue a new one. */
export function needsRenewal(pem: string, nowMs: number, hosts: readonly string[] = []): boolean {
  const { notBeforeMs, notAfterMs, hosts: present } = describeCertificate(pem)
  if (nowMs > notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3) return true
  return hosts.some(host => !present.includes(host))
}

async function issue(
  authority: Authority,
  subject: { CN: string[]; O: string[] },
  lifeMs: number,
  nowMs: number,
  extensions: x509.Extension[],
): Promise<Issued> {
  const keys = await provider.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  // Data, not a text to be parsed: a name with a comma or an equals sign stays one name.
  const names = [...subject.O.map(group => ({ O: [group] })), { CN: subject.CN }]
  const span = { fromMs: nowMs - backdateMs, toMs: nowMs + lifeMs }
  const usages = new x509.KeyUsagesExtension(digitalSignature, true)
  const certificatePem = await sealed(authority, names, keys.publicKey, span, [usages, ...extensions])
  return { certificatePem, keyPem: await keyText(keys.privateKey) }
}

async function sealed(
  authority: Authority,
  subject: x509.JsonName,
  publicKey: webcrypto.CryptoKey,
  span: { readonly fromMs: number; readonly toMs: number },
  extensions: readonly x509.Extension[],
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificatePem)
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject,
      issuer: issuer.subjectName.toJSON(),
      notBefore: wholeSeconds(span.fromMs),
      // Never longer than the authority that vouches for it.
      notAfter: wholeSeconds(Math.min(span.toMs, issuer.notAfter.getTime())),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey: await importKey(authority.keyPem),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        ...extensions,
        await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export(provider), false, provider),
        await x509.SubjectKeyIdentifierExtension.create(publicKey, false, provider),
      ],
    },
    provider,
  )
  return pemText(certificate.toString('pem'))
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' })
  return await provider.subtle.importKey('pkcs8', Uint8Array.from(der), algorithm, false, ['sign'])
}

async function keyText(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await provider.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

/** 127 random bits, positive, and never with a leading zero byte, which some readers drop and others do not. */
function serialNumber(): string {
  const bytes = provider.getRandomValues(new Uint8Array(16))
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

/** Certificates count whole seconds; a fraction makes this library write a time that OpenSSL does not read. */
function wholeSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000)
}

function pemText(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`
}
