// Event (v1).

import { age } from '../../lib/duration.ts'
import { nameColumn } from '../cells.ts'
import { invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { qualifiedName } from '../names.ts'
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
  source: s.of(5, eventSource, { default: {} }),
  firstTimestamp: s.time(6),
  lastTimestamp: s.time(7),
  count: s.int32(8),
  type: s.string(9),
  eventTime: s.microTime(10),
  series: s.of(11, eventSeries),
  action: s.string(12),
  related: s.of(13, objectReference),
  reportingComponent: s.string(14, { default: '' }),
  reportingInstance: s.string(15, { default: '' }),
})
export type Event = TypeOf<typeof eventSchema>

function firstSeen({ firstTimestamp, eventTime }: Event): string | undefined {
  return firstTimestamp ?? eventTime
}

function lastSeen(object: Event): string | undefined {
  return object.series?.lastObservedTime ?? object.lastTimestamp ?? firstSeen(object)
}

function targetText({ involvedObject }: Event): string {
  const kind = (involvedObject.kind ?? '').toLowerCase()
  return involvedObject.name ? `${kind}/${involvedObject.name}` : kind
}

function sourceText({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || (reportingComponent ?? '')
  const host = source?.host || (reportingInstance ?? '')
  return host === '' ? component : `${component}, ${host}`
}

const textLengthMax = 128
const messageLengthMax = 1_024

/**
 * An event lies in the namespace of what it is about. What has none lies in default, or in kube-system if the event has an
 * eventTime: then only this is looked at.
 */
function validatePlace({ metadata, involvedObject, eventTime }: Event): readonly FieldError[] {
  const about = involvedObject?.namespace ?? ''
  const { namespace = '' } = metadata
  const free = eventTime === undefined ? ['default'] : ['default', 'kube-system']
  const fits = about === '' ? free.includes(namespace) : eventTime !== undefined || about === namespace
  return fits ? [] : [invalidValue('involvedObject.namespace', about, 'does not match event.namespace')]
}

/** An event with an eventTime says who reports it and what was done. `reporter` is what the version calls that. */
export function validateEvent(object: Event, reporter = 'reportingComponent'): readonly FieldError[] {
  const errors = [...validatePlace(object)]
  if (object.eventTime === undefined) return errors
  const { reportingComponent = '', reportingInstance = '', action = '', reason = '', message = '' } = object
  if (reportingComponent === '') errors.push(requiredValue(reporter))
  const wrong = qualifiedName(reportingComponent)
  if (wrong !== undefined) errors.push(invalidValue(reporter, reportingComponent, wrong))
  for (const [name, text] of Object.entries({ reportingInstance, action, reason })) {
    if (text === '') errors.push(requiredValue(name))
    if (text.length > textLengthMax) errors.push(invalidValue(name, '', `can have at most ${textLengthMax} characters`))
  }
  if (message.length > messageLengthMax) {
    errors.push(invalidValue('message', '', `can have at most ${messageLengthMax} characters`))
  }
  return errors
}

export const event = defineKind({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  categories: [],
  scope: 'Namespaced',
  updateCreates: true,
  stored: true,
  subresources: [],
  schema: eventSchema,
  generation: false,
  ageColumn: false,
  columns: () => [
    { name: 'Last Seen', type: 'string', cell: (object, nowMs) => age(lastSeen(object), nowMs) },
    { name: 'Type', type: 'string', cell: ({ type }) => type ?? '' },
    { name: 'Reason', type: 'string', cell: ({ reason }) => reason ?? '' },
    { name: 'Object', type: 'string', cell: targetText },
    { name: 'Subobject', type: 'string', priority: 1, cell: ({ involvedObject }) => involvedObject.fieldPath ?? '' },
    { name: 'Source', type: 'string', priority: 1, cell: sourceText },
    { name: 'Message', type: 'string', cell: ({ message }) => (message ?? '').trim() },
    { name: 'First Seen', type: 'string', priority: 1, cell: (object, nowMs) => age(firstSeen(object), nowMs) },
    { name: 'Count', type: 'string', priority: 1, cell: ({ series, count }) => series?.count ?? (count || 1) },
    { ...nameColumn, priority: 1 },
  ],
  fieldLabels: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  fields: ({ involvedObject, reason, source, reportingComponent, type }) => ({
    'involvedObject.kind': involvedObject.kind ?? '',
    'involvedObject.namespace': involvedObject.namespace ?? '',
    'involvedObject.name': involvedObject.name ?? '',
    'involvedObject.uid': involvedObject.uid ?? '',
    'involvedObject.apiVersion': involvedObject.apiVersion ?? '',
    'involvedObject.resourceVersion': involvedObject.resourceVersion ?? '',
    'involvedObject.fieldPath': involvedObject.fieldPath ?? '',
    reason: reason ?? '',
    reportingComponent: reportingComponent ?? '',
    source: source?.component || (reportingComponent ?? ''),
    type: type ?? '',
  }),
  validate: object => validateEvent(object),
})
