// CertificateSigningRequests as people make them, for a client certificate.
import 'reflect-metadata'
import type { webcrypto as types } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** The YAML of a request of that name, for user `name`. */
export async function signingRequest(name: string): Promise<string> {
  const usages: types.KeyUsage[] = ['sign', 'verify']
  const keys = await crypto.subtle.generateKey(algorithm, true, usages)
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
  })
  return `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: ${name} }
spec:
  request: ${btoa(request.toString('pem'))}
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 3600
  usages: [client auth]
`
}
