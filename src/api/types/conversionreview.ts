// ConversionReview (apiextensions.k8s.io/v1): what a conversion webhook is asked, and what it answers. Never stored.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-request-and-response
import { s, scalars, type TypeOf } from '../schema.ts'
import { status } from './status.ts'

const prefix = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'

const conversionRequest = s.object(
  `${prefix}.ConversionRequest`,
  {
    uid: s.string(1, { required: true, description: 'Of this question; the answer repeats it.' }),
    desiredAPIVersion: s.string(2, {
      required: true,
      description: 'Group and version that all objects are to have, such as example.com/v1.',
    }),
    objects: s.list(3, scalars.any, {
      required: true,
      description: 'Whole objects of one kind; their versions may differ.',
    }),
  },
  { description: 'Objects that a webhook is to convert.' },
)

const conversionResponse = s.object(
  `${prefix}.ConversionResponse`,
  {
    uid: s.string(1, { required: true, description: 'That of the question.' }),
    convertedObjects: s.list(2, scalars.any, {
      required: true,
      description:
        'The same objects in the same order, in the version that was asked for. Of their metadata only labels and annotations may change.',
    }),
    result: s.of(3, status, {
      required: true,
      description: 'Its status is Success, or else Failure with a message for the client.',
    }),
  },
  { description: 'What a webhook has made of the objects.' },
)

export const conversionReview = s.object(
  `${prefix}.ConversionReview`,
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    request: s.of(1, conversionRequest, 'The question; written by the server.'),
    response: s.of(2, conversionResponse, 'The answer; written by the webhook.'),
  },
  { description: 'What the server sends to a conversion webhook, and what it gets back.' },
)
export type ConversionReview = TypeOf<typeof conversionReview>
