// Event (v1): what happened to an object, told by the program that saw or did it. It goes by itself after an hour.

import { age } from '../../lib/duration.ts'
import { nameColumn } from '../cells.ts'
import { invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'

export const eventSeries = s.object(
  'io.k8s.api.core.v1.EventSeries',
  {
    count: s.int32(1, 'How often it has been seen so far.'),
    lastObservedTime: s.microTime(2, 'When it was seen last, to the microsecond.'),
  },
  { description: 'Repetitions of an event that goes on.' },
)
export type EventSeries = TypeOf<typeof eventSeries>
export const eventSource = s.object(
  'io.k8s.api.core.v1.EventSource',
  {
    component: s.string(1, 'Program that tells of it, as in kubelet.'),
    host: s.string(2, 'Node on which that program runs, if it speaks for one.'),
  },
  { description: 'Who noticed it, in the older form.' },
)
export type EventSource = TypeOf<typeof eventSource>
export const eventSchema = s.object(
  'io.k8s.api.core.v1.Event',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Lies in the namespace of the object it is about; default for objects of the cluster.',
    }),
    involvedObject: s.of(2, objectReference, { required: true, description: 'What it happened to.' }),
    reason: s.string(
      3,
      'One CamelCase word for programs, as in FailedScheduling; at most 128 characters beside an eventTime.',
    ),
    message: s.string(4, 'What happened, for people.'),
    source: s.of(5, eventSource, { default: {}, description: 'Who noticed it, where reportingComponent is not used.' }),
    firstTimestamp: s.time(6, 'When it was seen first, in the older form.'),
    lastTimestamp: s.time(7, 'When it was seen last, in the older form.'),
    count: s.int32(8, 'How often it was seen, in the older form.'),
    type: s.string(9, 'Normal or Warning.'),
    eventTime: s.microTime(
      10,
      'When it was seen first, to the microsecond: the newer form, for which the reporter and action are needed.',
    ),
    series: s.of(11, eventSeries, 'How it goes on, in the newer form; absent when it was seen once.'),
    action: s.string(12, 'What was done or tried, in CamelCase, as in Binding.'),
    related: s.of(13, objectReference, 'Another object that has to do with it.'),
    reportingComponent: s.string(14, {
      default: '',
      description: 'Program that tells of it, as in kubernetes.io/kubelet.',
    }),
    reportingInstance: s.string(15, {
      default: '',
      description: 'Which of several such programs, as the name of its node or pod; at most 128 characters.',
    }),
  },
  { description: 'Something that happened to an object, told by a program. Kept for an hour after it was last seen.' },
)
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
