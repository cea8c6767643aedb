// Who may do what with a CertificateSigningRequest, and whether what is in it can be read: upstream's admission plugins
// CertificateApproval, CertificateSigning and CertificateSubjectRestriction, and the parts of validation that need
// cryptography. They wait for the authorizer and for signatures, so they are hooks.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#certificateapproval
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { equalJson } from '../../api/equal.ts'
import { ApiError, invalid } from '../../api/error.ts'
import { invalidValue } from '../../api/field.ts'
import {
  type CertificateSigningRequest,
  certificateSigningRequest as requestKind,
} from '../../api/kinds/certificatesigningrequest.ts'
import type { Bytes } from '../../lib/bytes.ts'
import { derOf, pemBlocks } from '../../lib/pem.ts'
import type { Identity } from '../../world/http.ts'
import { type Attributes, masters } from '../authorize.ts'
import type { Change, Hook, Step } from './admission.ts'
import { isRequest } from './certificates.ts'

/** Whether this verb on this signer (certificates.k8s.io signers/<name>) is allowed. */
export type MaySign = (identity: Identity, verb: 'approve' | 'sign', signer: string) => Promise<boolean>

/** What is asked of the authorizer for it. */
export function signerAsked(verb: string, name: string): Attributes {
  const group = requestKind.group
  return { kind: 'resource', verb, group, resource: 'signers', subresource: '', namespace: '', name }
}

export function certificateSteps(maySign: MaySign): readonly Step[] {
  return [{ hook: approval(maySign) }, { hook: signing(maySign) }, { hook: subjectRestriction }]
}

const about = ({ object }: Change): CertificateSigningRequest => object as CertificateSigningRequest

function approval(maySign: MaySign): Hook {
  return {
    name: 'CertificateApproval',
    handles: change => isRequest(change) && change.verb === 'UPDATE' && change.subresource === 'approval',
    async validate(change) {
      const { signerName } = about(change).spec
      if (await isAllowed(maySign, change.identity, 'approve', signerName)) return undefined
      throw refused(change, `user not permitted to approve requests with signerName ${JSON.stringify(signerName)}`)
    },
  }
}

function signing(maySign: MaySign): Hook {
  return {
    name: 'CertificateSigning',
    handles: change => isRequest(change) && change.verb === 'UPDATE' && change.subresource === 'status',
    async validate(change) {
      const { status, spec } = about(change)
      const old = (change.old as CertificateSigningRequest).status
      if (equalJson(status, old)) return undefined
      if (!(await isAllowed(maySign, change.identity, 'sign', spec.signerName))) {
        const signer = JSON.stringify(spec.signerName)
        throw refused(change, `user not permitted to sign requests with signerName ${signer}`)
      }
      if (status.certificate !== undefined && status.certificate !== old.certificate) checkCertificates(change)
      return undefined
    },
  }
}

const clientSigner = 'kubernetes.io/kube-apiserver-client'

/** That the request was signed with the key it names, and does not ask for the group that may do everything. */
const subjectRestriction: Hook = {
  name: 'CertificateSubjectRestriction',
  handles: change => isRequest(change) && change.verb === 'CREATE',
  async validate(change) {
    const { request, signerName } = about(change).spec
    const parsed = await parseRequest(request)
    if (typeof parsed === 'string') throw wrong(change, 'spec.request', request, parsed)
    if (signerName === clientSigner && parsed.subjectName.getField('O').includes(masters)) {
      throw refused(change, `use of ${clientSigner} signer with ${masters} group is not allowed`)
    }
    return undefined
  },
}

function dersOf(base64: string): readonly (Bytes | undefined)[] {
  return pemBlocks(Buffer.from(base64, 'base64').toString('latin1')).map(derOf)
}

/** The PKCS #10 request, or what is wrong with it. */
async function parseRequest(base64: string): Promise<x509.Pkcs10CertificateRequest | string> {
  try {
    const [der] = dersOf(base64)
    if (der === undefined) return 'the request is no PKCS #10 in base64'
    const parsed = new x509.Pkcs10CertificateRequest(Uint8Array.from(der))
    return (await parsed.verify(webcrypto)) ? parsed : 'the signature does not fit the request and its public key'
  } catch (error) {
    // The library throws on anything that is no request, and on keys that nobody knows.
    return `the request cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
}

function checkCertificates(change: Change): void {
  try {
    for (const der of dersOf(about(change).status.certificate ?? '')) {
      if (der === undefined) throw new Error('malformed certificate')
      new x509.X509Certificate(Uint8Array.from(der))
    }
  } catch (error) {
    const why = `x509: ${error instanceof Error ? error.message : String(error)}`
    throw wrong(change, 'status.certificate', '<certificate data>', why)
  }
}

/** By the signer's own name, or by all signers of its domain: 'example.com/*'. */
async function isAllowed(maySign: MaySign, identity: Identity, verb: 'approve' | 'sign', signer: string) {
  if (await maySign(identity, verb, signer)) return true
  const [domain = ''] = signer.split('/')
  return maySign(identity, verb, `${domain}/*`)
}

function wrong({ name }: Change, field: string, value: string, why: string): ApiError {
  return invalid(requestKind, name, [invalidValue(field, value, why)])
}

function refused({ name }: Change, why: string): ApiError {
  const { group, plural } = requestKind
  const message = `${plural}.${group} "${name}" is forbidden: ${why}`
  return new ApiError('Forbidden', message, { name, group, kind: plural })
}
