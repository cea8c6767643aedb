// Event (events.k8s.io/v1): the events of the core group, by other names and under stricter rules.
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
import { equalJson } from '../equal.ts'
import { immutable, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'
import { type Event as CoreEvent, event as coreKind, eventSource, validateEvent } from './event.ts'

export const eventSeries = s.object(
  'io.k8s.api.events.v1.EventSeries',
  {
    count: s.int32(1, { required: true, description: 'How often it has been seen so far, at least 2.' }),
    lastObservedTime: s.microTime(2, { required: true, description: 'When it was seen last, to the microsecond.' }),
  },
  { description: 'Repetitions of an event that goes on; the only part of an event that may change.' },
)
export type EventSeries = TypeOf<typeof eventSeries>
export const eventSchema = s.object(
  'io.k8s.api.events.v1.Event',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description:
        'Lies in the namespace of the object it is about; default or kube-system for objects of the cluster.',
    }),
    eventTime: s.microTime(2, 'When it was seen first, to the microsecond; needed.'),
    series: s.of(3, eventSeries, 'How it goes on; absent when it was seen once.'),
    reportingController: s.string(4, 'Program that tells of it, as in kubernetes.io/kubelet.'),
    reportingInstance: s.string(
      5,
      'Which of several such programs, as the name of its node or pod; at most 128 characters.',
    ),
    action: s.string(6, 'What was done or tried, in CamelCase, as in Binding; at most 128 characters.'),
    reason: s.string(7, 'One CamelCase word for programs, as in FailedScheduling; at most 128 characters.'),
    regarding: s.of(8, objectReference, { default: {}, description: 'What it happened to.' }),
    related: s.of(9, objectReference, 'Another object that has to do with it.'),
    note: s.string(10, 'What happened, for people; at most 1024 characters.'),
    type: s.string(11, 'Normal or Warning.'),
    deprecatedSource: s.of(12, eventSource, {
      default: {},
      description: 'source of events that were written in the core group; leave it empty.',
    }),
    deprecatedFirstTimestamp: s.time(13, 'firstTimestamp of events that were written in the core group; leave it out.'),
    deprecatedLastTimestamp: s.time(14, 'lastTimestamp of events that were written in the core group; leave it out.'),
    deprecatedCount: s.int32(15, 'count of events that were written in the core group; leave it out.'),
  },
  {
    description:
      'Something that happened to an object, told by a program: the events of the core group under other names.',
  },
)
export type Event = TypeOf<typeof eventSchema>

/** What the two call differently: here, and in the core group. */
const names = {
  reportingController: 'reportingComponent',
  regarding: 'involvedObject',
  note: 'message',
  deprecatedSource: 'source',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedCount: 'count',
} as const
const coreNames: Readonly<Record<string, string>> = names
const ownNames: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(names).map(([own, core]) => [core, own]),
)

function renamed(object: object, to: Readonly<Record<string, string>>, apiVersion: string): unknown {
  return { ...Object.fromEntries(Object.entries(object).map(([name, value]) => [to[name] ?? name, value])), apiVersion }
}

export function toCore(object: Event): CoreEvent {
  return renamed(object, coreNames, 'v1') as CoreEvent
}

export function fromCore(object: CoreEvent): Event {
  return renamed(object, ownNames, 'events.k8s.io/v1') as Event
}

function validateSeries({ series }: Event): readonly FieldError[] {
  if (!series) return []
  return [
    ...(series.count < 2 ? [invalidValue('series.count', '', 'should be at least 2')] : []),
    ...(series.lastObservedTime ? [] : [requiredValue('series.lastObservedTime')]),
  ]
}

/** What is written here has its time as eventTime, and leaves alone what stands for older clients. */
function validateNew(object: Event): readonly FieldError[] {
  const { type = '', deprecatedSource } = object
  const unset = {
    firstTimestamp: object.deprecatedFirstTimestamp,
    lastTimestamp: object.deprecatedLastTimestamp,
    count: object.deprecatedCount || undefined,
    source: deprecatedSource.component || deprecatedSource.host || undefined,
  }
  return [
    ...validateSeries(object),
    ...(object.eventTime ? [] : [requiredValue('eventTime')]),
    ...(type === 'Normal' || type === 'Warning' ? [] : [invalidValue('type', '', `has invalid value: ${type}`)]),
    ...Object.entries(unset)
      .filter(([, value]) => value !== undefined)
      .map(([name]) => invalidValue(name, '', 'needs to be unset')),
  ]
}

const fixedFields = [
  'regarding',
  'reason',
  'note',
  'deprecatedSource',
  'deprecatedFirstTimestamp',
  'deprecatedLastTimestamp',
  'deprecatedCount',
  'type',
  'eventTime',
  'action',
  'related',
  'reportingController',
  'reportingInstance',
] as const

/** An event that goes on counts in its series; all else stays. The fields are named as in the core group, but for one. */
function validateChange(object: Event, old: Event): readonly FieldError[] {
  const changed = fixedFields.filter(name => !equalJson(object[name], old[name]))
  return [
    ...(equalJson(object.series, old.series) ? [] : validateSeries(object)),
    ...changed.map(name => immutable(name === 'reportingController' ? name : (coreNames[name] ?? name), object[name])),
  ]
}

/** The labels of field selectors: here, and in the core group. */
const labels: Readonly<Record<string, string>> = {
  reason: 'reason',
  'regarding.kind': 'involvedObject.kind',
  'regarding.namespace': 'involvedObject.namespace',
  'regarding.name': 'involvedObject.name',
  'regarding.uid': 'involvedObject.uid',
  'regarding.apiVersion': 'involvedObject.apiVersion',
  'regarding.resourceVersion': 'involvedObject.resourceVersion',
  'regarding.fieldPath': 'involvedObject.fieldPath',
  reportingController: 'reportingComponent',
  type: 'type',
}

export const eventsEvent = defineKind({
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  categories: [],
  scope: 'Namespaced',
  updateCreates: true,
  stored: true,
  storedAs: { kind: coreKind, read: objects => objects.map(object => fromCore(object as CoreEvent)), write: toCore },
  subresources: [],
  schema: eventSchema,
  generation: false,
  ageColumn: false,
  columns: () =>
    coreKind.columns().map(({ cell, ...column }) => ({
      ...column,
      cell: (object: Event, nowMs: number) => cell(toCore(object), nowMs),
    })),
  fieldLabels: Object.keys(labels),
  fields: object => {
    const found = coreKind.fields(toCore(object))
    return Object.fromEntries(Object.entries(labels).map(([own, core]) => [own, found[core] ?? '']))
  },
  validate: (object, old) => [
    ...validateEvent(toCore(object), 'reportingController'),
    ...(old ? validateChange(object, old) : validateNew(object)),
  ],
})
