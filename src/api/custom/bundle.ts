// Whether the CAs of a webhook that converts can be read. A definition whose cannot is not served, and one that is served
// does not take such. Upstream: apiserver pkg/util/webhook/validation.go, ValidateCABundle.
import { text } from '../../lib/bytes.ts'
import { derOf, pemBlocks } from '../../lib/pem.ts'
import { bytesOfBase64 } from '../base64.ts'
import type { CustomResourceDefinitionSpec } from '../kinds/customresourcedefinition.ts'

/** What is wrong with the bundle, and its bytes as Go shows them; undefined: nothing, or there is none. */
export function bundleFault({
  conversion,
}: Pick<CustomResourceDefinitionSpec, 'conversion'>): { readonly shown: string; readonly why: string } | undefined {
  const { caBundle = '' } = conversion?.webhook?.clientConfig ?? {}
  if (caBundle === '') return undefined
  const bytes = bytesOfBase64(caBundle)
  const blocks = pemBlocks(text(bytes))
  const certificates = blocks.filter(({ type }) => type === 'CERTIFICATE')
  if (certificates.some(block => derOf(block) !== undefined)) return undefined
  const why =
    blocks.length === 0
      ? 'unable to parse bytes as PEM block'
      : certificates.length === 0
        ? 'no valid certificate authority data seen'
        : 'failed to parse certificate: x509: malformed certificate'
  const hex = Array.from(bytes, byte => `0x${byte.toString(16)}`)
  return { shown: `[]byte{${hex.join(', ')}}`, why: `unable to load root certificates: ${why}` }
}
