// Whether the CAs of a webhook can be read. A definition whose webhook for conversion has such as cannot is not served, and
// one that is served does not take them; other webhooks keep what they were given, and fail when they are asked.
// Upstream: apiserver pkg/util/webhook/validation.go, ValidateCABundle; client-go transport, rootCertPool.
import { text } from '../../lib/bytes.ts'
import { derOf, pemBlocks } from '../../lib/pem.ts'
import { bytesOfBase64 } from '../base64.ts'
import type { CustomResourceDefinitionSpec } from '../kinds/customresourcedefinition.ts'

/** What is wrong with the bundle, and its bytes as Go shows them; undefined: nothing, or there is none. */
export function bundleFault({
  conversion,
}: Pick<CustomResourceDefinitionSpec, 'conversion'>): { readonly shown: string; readonly why: string } | undefined {
  const { caBundle = '' } = conversion?.webhook?.clientConfig ?? {}
  const why = rootsFault(caBundle)
  if (why === undefined) return undefined
  const hex = Array.from(bytesOfBase64(caBundle), byte => `0x${byte.toString(16)}`)
  return { shown: `[]byte{${hex.join(', ')}}`, why }
}

/** What is wrong with certificates in PEM, in base64; undefined: nothing, or there are none. */
export function rootsFault(caBundle: string): string | undefined {
  if (caBundle === '') return undefined
  const blocks = pemBlocks(text(bytesOfBase64(caBundle)))
  const certificates = blocks.filter(({ type }) => type === 'CERTIFICATE')
  if (certificates.some(block => derOf(block) !== undefined)) return undefined
  const why =
    blocks.length === 0
      ? 'unable to parse bytes as PEM block'
      : certificates.length === 0
        ? 'no valid certificate authority data seen'
        : 'failed to parse certificate: x509: malformed certificate'
  return `unable to load root certificates: ${why}`
}
