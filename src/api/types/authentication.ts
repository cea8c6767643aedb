// The review types of authentication.k8s.io.
import { s, scalars, type TypeOf } from '../schema.ts'

export const userInfo = s.object('io.k8s.api.authentication.v1.UserInfo', {
  username: s.string(1),
  uid: s.string(2),
  groups: s.list(3, scalars.string),
  extra: s.map(4, scalars.strings),
})
export type UserInfo = TypeOf<typeof userInfo>
export const tokenReviewSpec = s.object('io.k8s.api.authentication.v1.TokenReviewSpec', {
  token: s.string(1),
  audiences: s.list(2, scalars.string),
})
export type TokenReviewSpec = TypeOf<typeof tokenReviewSpec>
export const tokenReviewStatus = s.object('io.k8s.api.authentication.v1.TokenReviewStatus', {
  authenticated: s.boolean(1),
  user: s.of(2, userInfo),
  error: s.string(3),
  audiences: s.list(4, scalars.string),
})
export type TokenReviewStatus = TypeOf<typeof tokenReviewStatus>
export const boundObjectReference = s.object('io.k8s.api.authentication.v1.BoundObjectReference', {
  apiVersion: s.string(2),
  kind: s.string(1),
  name: s.string(3),
  uid: s.string(4),
})
export type BoundObjectReference = TypeOf<typeof boundObjectReference>
export const tokenRequestSpec = s.object('io.k8s.api.authentication.v1.TokenRequestSpec', {
  audiences: s.list(1, scalars.string, { required: true, default: [] }),
  boundObjectRef: s.of(3, boundObjectReference),
  expirationSeconds: s.int64(4, { pointer: true, default: 3600 }),
})
export type TokenRequestSpec = TypeOf<typeof tokenRequestSpec>
export const tokenRequestStatus = s.object('io.k8s.api.authentication.v1.TokenRequestStatus', {
  token: s.string(1, { required: true }),
  expirationTimestamp: s.time(2, { required: true }),
})
export type TokenRequestStatus = TypeOf<typeof tokenRequestStatus>
export const selfSubjectReviewStatus = s.object('io.k8s.api.authentication.v1.SelfSubjectReviewStatus', {
  userInfo: s.of(1, userInfo),
})
export type SelfSubjectReviewStatus = TypeOf<typeof selfSubjectReviewStatus>
