// The review types of authentication.k8s.io.
import { s, scalars, type TypeOf } from '../schema.ts'

export const userInfo = s.object(
  'io.k8s.api.authentication.v1.UserInfo',
  {
    username: s.string(
      1,
      'Unique among all users at one time; system:serviceaccount:<namespace>:<name> for a service account.',
    ),
    uid: s.string(
      2,
      'Tells apart users who had the same name at different times; empty where authentication knows none.',
    ),
    groups: s.list(3, scalars.string, 'Groups that rights may be granted to, such as system:authenticated.'),
    extra: s.map(
      4,
      scalars.strings,
      'What else authentication knows, by keys in lower case, such as the pod that a token was made for.',
    ),
  },
  { description: 'Somebody, as authentication knows them.' },
)
export type UserInfo = TypeOf<typeof userInfo>
export const tokenReviewSpec = s.object(
  'io.k8s.api.authentication.v1.TokenReviewSpec',
  {
    token: s.string(1, 'Bearer token as a client sends it, without the word Bearer.'),
    audiences: s.list(
      2,
      scalars.string,
      'Names of whoever is to accept the token, of which it must be made for at least one. The API server itself when empty.',
    ),
  },
  { description: 'The token that is asked about, and who is to accept it.' },
)
export type TokenReviewSpec = TypeOf<typeof tokenReviewSpec>
export const tokenReviewStatus = s.object(
  'io.k8s.api.authentication.v1.TokenReviewStatus',
  {
    authenticated: s.boolean(1, 'Whether the token is good now, and for one of the audiences.'),
    user: s.of(2, userInfo, 'Whom the token speaks for; empty for one that is not good.'),
    error: s.string(3, 'Why the token was not accepted.'),
    audiences: s.list(
      4,
      scalars.string,
      'Those that were asked about and that the token is made for; whoever asks must find itself among them.',
    ),
  },
  { description: 'What the server makes of a token.' },
)
export type TokenReviewStatus = TypeOf<typeof tokenReviewStatus>
export const boundObjectReference = s.object(
  'io.k8s.api.authentication.v1.BoundObjectReference',
  {
    apiVersion: s.string(2, 'v1, as all kinds that a token can be bound to.'),
    kind: s.string(1, 'Pod, Secret or Node.'),
    name: s.string(3, 'Of the object; a Pod or Secret is looked for in the namespace of the service account.'),
    uid: s.string(
      4,
      'When given, it must be that of the object, or else the answer is a conflict. Empty for whichever has the name.',
    ),
  },
  { description: 'The object that a token ends with.' },
)
export type BoundObjectReference = TypeOf<typeof boundObjectReference>
export const tokenRequestSpec = s.object(
  'io.k8s.api.authentication.v1.TokenRequestSpec',
  {
    audiences: s.list(1, scalars.string, {
      required: true,
      default: [],
      description: 'Who may accept the token; others have to reject it. The API server itself when empty.',
    }),
    boundObjectRef: s.of(3, boundObjectReference, 'The token is no longer good once this object is gone.'),
    expirationSeconds: s.int64(4, {
      pointer: true,
      default: 3600,
      description:
        'Life of the token in seconds, from 600. More than a year is cut to a year; the answer says what was given.',
    }),
  },
  { description: 'For whom a token is to be, and for how long.' },
)
export type TokenRequestSpec = TypeOf<typeof tokenRequestSpec>
export const tokenRequestStatus = s.object(
  'io.k8s.api.authentication.v1.TokenRequestStatus',
  {
    token: s.string(1, { required: true, description: 'A signed JWT. It is stored nowhere and cannot be read again.' }),
    expirationTimestamp: s.time(2, { required: true, description: 'When the token ceases to be good.' }),
  },
  { description: 'The token that was made.' },
)
export type TokenRequestStatus = TypeOf<typeof tokenRequestStatus>
export const selfSubjectReviewStatus = s.object(
  'io.k8s.api.authentication.v1.SelfSubjectReviewStatus',
  {
    userInfo: s.of(1, userInfo, 'Whom the credentials of the request speak for, or whom it impersonates.'),
  },
  { description: 'Who the server takes the sender for.' },
)
export type SelfSubjectReviewStatus = TypeOf<typeof selfSubjectReviewStatus>
