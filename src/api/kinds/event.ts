// Event (v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'

export const eventSeries = s.object('io.k8s.api.core.v1.EventSeries', {
  count: s.int32(1),
  lastObservedTime: s.microTime(2),
})
export type EventSeries = TypeOf<typeof eventSeries>
export const eventSource = s.object('io.k8s.api.core.v1.EventSource', {
  component: s.string(1),
  host: s.string(2),
})
export type EventSource = TypeOf<typeof eventSource>
export const eventSchema = s.object('io.k8s.api.core.v1.Event', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  involvedObject: s.of(2, objectReference, { required: true }),
  reason: s.string(3),
  message: s.string(4),
  source: s.of(5, eventSource),
  firstTimestamp: s.time(6),
  lastTimestamp: s.time(7),
  count: s.int32(8),
  type: s.string(9),
  eventTime: s.microTime(10),
  series: s.of(11, eventSeries),
  action: s.string(12),
  related: s.of(13, objectReference),
  reportingComponent: s.string(14),
  reportingInstance: s.string(15),
})
export type Event = TypeOf<typeof eventSchema>

export const event = defineKind({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: eventSchema,
})
