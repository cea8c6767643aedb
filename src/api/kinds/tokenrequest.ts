// TokenRequest (authentication.k8s.io/v1): a token of a service account, by POST serviceaccounts/<name>/token.
// apiserver/run-token.ts answers.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { tokenRequestSpec, tokenRequestStatus } from '../types/authentication.ts'
import { objectMeta } from '../types/meta.ts'

export const tokenRequestSchema = s.object(
  'io.k8s.api.authentication.v1.TokenRequest',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'In the answer, name and namespace of the service account.',
    }),
    spec: s.of(2, tokenRequestSpec, { required: true, description: 'The token that is wanted.' }),
    status: s.of(3, tokenRequestStatus, { default: {}, description: 'The token; the server writes it.' }),
  },
  { description: 'Asks for a token of a service account. Sent to its subresource token, never stored.' },
)
export type TokenRequest = TypeOf<typeof tokenRequestSchema>

export const tokenRequest = defineKind({
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenRequest',
  plural: 'tokenrequests',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: false,
  subresources: [],
  schema: tokenRequestSchema,
})
