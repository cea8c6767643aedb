// A cluster's certificates for tests: a CA, a server's for 127.0.0.1, and clients'.
import 'reflect-metadata'
import type { webcrypto as types } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const span = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) }

async function pem(key: types.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}

export type Pair = { readonly key: string; readonly cert: string }
export type Certificates = {
  readonly ca: string
  readonly server: Pair
  /** A server's, for other names. */
  serverNamed(...names: readonly string[]): Promise<Pair>
  client(user: string, groups: readonly string[]): Promise<Pair>
}

export async function certificates(): Promise<Certificates> {
  const usages: types.KeyUsage[] = ['sign', 'verify']
  const caKeys = await crypto.subtle.generateKey(algorithm, true, usages)
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test-ca',
    keys: caKeys,
    signingAlgorithm: algorithm,
    ...span,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  })
  async function issue(subject: string, use: string, names: x509.JsonGeneralNames): Promise<Pair> {
    const keys = await crypto.subtle.generateKey(algorithm, true, usages)
    const cert = await x509.X509CertificateGenerator.create({
      subject,
      issuer: ca.subject,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      signingAlgorithm: algorithm,
      ...span,
      extensions: [
        new x509.ExtendedKeyUsageExtension([use]),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      ],
    })
    return { key: await pem(keys.privateKey), cert: cert.toString('pem') }
  }
  return {
    ca: ca.toString('pem'),
    server: await issue('CN=server', x509.ExtendedKeyUsage.serverAuth, [
      { type: 'ip', value: '127.0.0.1' },
      { type: 'dns', value: 'localhost' },
    ]),
    serverNamed: (...names) =>
      issue(
        'CN=server',
        x509.ExtendedKeyUsage.serverAuth,
        names.map(value => ({ type: 'dns', value })),
      ),
    client: (user, groups) =>
      issue([`CN=${user}`, ...groups.map(group => `O=${group}`)].join(', '), x509.ExtendedKeyUsage.clientAuth, []),
  }
}
