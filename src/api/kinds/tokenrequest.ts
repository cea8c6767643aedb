// TokenRequest (authentication.k8s.io/v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { tokenRequestSpec, tokenRequestStatus } from '../types/authentication.ts'
import { objectMeta } from '../types/meta.ts'

export const tokenRequestSchema = s.object('io.k8s.api.authentication.v1.TokenRequest', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, tokenRequestSpec, { required: true }),
  status: s.of(3, tokenRequestStatus, { default: {} }),
})
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
