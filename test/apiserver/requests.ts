// Certificate requests (PKCS #10) for tests, and the objects that carry them.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export type Asked = {
  readonly user?: string
  readonly groups?: readonly string[]
  readonly dns?: readonly string[]
  readonly ips?: readonly string[]
  readonly emails?: readonly string[]
}

/** PEM of a request that was signed with a key of its own, as base64. */
export async function certificateRequest({
  user,
  groups = [],
  dns = [],
  ips = [],
  emails = [],
}: Asked): Promise<string> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const names: x509.JsonGeneralNames = [
    ...dns.map(value => ({ type: 'dns' as const, value })),
    ...ips.map(value => ({ type: 'ip' as const, value })),
    ...emails.map(value => ({ type: 'email' as const, value })),
  ]
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [...groups.map(group => ({ O: [group] })), ...(user === undefined ? [] : [{ CN: [user] }])],
    keys,
    signingAlgorithm: algorithm,
    ...(names.length > 0 && { extensions: [new x509.SubjectAlternativeNameExtension(names)] }),
  })
  return Buffer.from(request.toString('pem')).toString('base64')
}

export const clientUsages = ['digital signature', 'key encipherment', 'client auth']

export const requestNamed = (name: string, request: string, spec: object = {}) => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { name },
  spec: { request, signerName: 'kubernetes.io/kube-apiserver-client', usages: clientUsages, ...spec },
})
