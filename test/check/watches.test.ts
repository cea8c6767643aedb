// Each property of watches: holds for the streams of a correct server, and is seen to break when one thing in them is wrong.
import { expect, test } from 'vitest'
import { prng } from '../../src/lib/prng.ts'
import { type Generated, generate } from './generate.ts'
import type { KeyValue, Operation } from './history.ts'
import type { Change } from './model.ts'
import { replay } from './revisions.ts'
import {
  checkWatches,
  logOfWatches,
  type Property,
  properties,
  revisionOf,
  type WatchAnswer,
  type WatchEvent,
  type WatchRequest,
  type WatchSession,
} from './watches.ts'

const shape = { operations: 300, clients: 6, keys: 4, ambiguous: 0.1, areValuesUnique: true }
const everything: WatchRequest = { range: { prefix: '' }, start: 1, previous: true, without: 'nothing' }

const truthOf = ({ log }: Generated) => new Map(log.map(({ revision, changes }) => [revision, changes]))
const lastOf = ({ log }: Generated) => log.at(-1)?.revision ?? 1

function toEvent(change: Change, isPreviousWanted: boolean): WatchEvent {
  const previous = isPreviousWanted && change.previous !== undefined ? { previous: change.previous } : {}
  return change.kind === 'put'
    ? { kind: 'put', item: change.current, ...previous }
    : { kind: 'delete', key: change.key, revision: change.revision, ...previous }
}

/** What a correct server answers from the start up to `last`, cut into messages by chance, with bookmarks between them. */
function serve(seed: number, generated: Generated, request: WatchRequest, last: number): WatchAnswer[] {
  const random = prng(seed)
  const answers: WatchAnswer[] = [{ kind: 'opened', time: 0, revision: 1 }]
  let events: WatchEvent[] = []
  for (const { revision, time, changes } of generated.log) {
    if (revision < request.start || revision > last) continue
    const fitting = changes.filter(change => {
      const key = change.kind === 'put' ? change.current.key : change.key
      const isIn = 'key' in request.range ? key === request.range.key : key.startsWith(request.range.prefix)
      return isIn && request.without !== `${change.kind}s`
    })
    events.push(...fitting.map(change => toEvent(change, request.previous)))
    if (!random.chance(0.5)) continue
    if (events.length > 0) answers.push({ kind: 'events', time, revision, events })
    events = []
    if (random.chance(0.3)) answers.push({ kind: 'bookmark', time, revision })
  }
  if (events.length > 0) answers.push({ kind: 'events', time: 1e6, revision: last, events })
  return answers
}

const session = (request: WatchRequest, answers: readonly WatchAnswer[], watcher = 'w'): WatchSession => ({
  watcher,
  member: 'm1#1',
  call: 0,
  request,
  answers,
})

test('the streams of a correct server have every property, whatever is asked for', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = prng(seed)
    const generated = generate(seed, shape)
    const last = lastOf(generated)
    const request: WatchRequest = {
      range: random.chance(0.5) ? { prefix: 'k' } : { key: 'k1' },
      start: 1 + random.below(100),
      previous: random.chance(0.5),
      without: random.chance(0.5) ? 'nothing' : random.chance(0.5) ? 'puts' : 'deletes',
    }
    const middle = request.start + random.below(60)
    const first: WatchAnswer[] = [...serve(seed, generated, request, middle), { kind: 'ended', time: 1e6 }]
    const got = first.flatMap(x =>
      x.kind === 'events' ? x.events.map(revisionOf) : x.kind === 'bookmark' ? x.revision : [],
    )
    const resumed = { ...request, start: Math.max(request.start - 1, ...got) + 1 }
    const sessions = [session(request, first), session(resumed, serve(seed + 1, generated, resumed, last))]
    expect(checkWatches(sessions, truthOf(generated), { until: last }), `seed ${seed}`).toEqual([])
  }
})

test('what watchers saw is a log that tells what became of ambiguous operations', () => {
  const generated = generate(7, shape)
  const log = logOfWatches([session(everything, serve(1, generated, everything, lastOf(generated)))])
  expect(log.isComplete).toBe(true)
  expect(replay(generated.operations, log).kind).toBe('ok')
  const withHole = logOfWatches([
    session({ ...everything, start: 9 }, serve(1, generated, { ...everything, start: 9 }, 99)),
  ])
  expect(withHole.isComplete).toBe(false)
})

type Spoil = (answers: WatchAnswer[], generated: Generated) => WatchAnswer[]

/** Applies a change to the events of the answer that fits. */
function inAnswer(
  fits: (events: readonly WatchEvent[]) => boolean,
  change: (events: WatchEvent[]) => WatchEvent[],
): Spoil {
  return answers => {
    const at = answers.findIndex((answer, i) => i > 3 && answer.kind === 'events' && fits(answer.events))
    const answer = answers[at]
    if (answer?.kind !== 'events') throw new Error('no answer fits')
    return answers.with(at, { ...answer, events: change([...answer.events]) })
  }
}

const many = (count: number) => (events: readonly WatchEvent[]) => new Set(events.map(revisionOf)).size >= count
const withPut = (events: readonly WatchEvent[]) => events.some(isUpdate)
const isUpdate = (event: WatchEvent) => event.kind === 'put' && event.item.version > 1
const changeUpdate = (change: (item: KeyValue) => KeyValue) => (events: WatchEvent[]) =>
  events.map(event => (event.kind === 'put' && isUpdate(event) ? { ...event, item: change(event.item) } : event))

const bookmarkAt = (answers: readonly WatchAnswer[]) => answers.findIndex(({ kind }, i) => kind === 'bookmark' && i > 3)

const spoils: Readonly<Record<Property, readonly (readonly [string, Spoil])[]>> = {
  ordered: [['two revisions are exchanged', inAnswer(many(3), events => events.toReversed())]],
  unique: [['a change comes twice', inAnswer(many(1), events => [...events, ...events.slice(-1)])]],
  reliable: [['a change is left out', inAnswer(many(3), events => events.toSpliced(1, 1))]],
  atomic: [
    [
      'a revision is cut in two',
      answers => {
        const isTwo = (events: readonly WatchEvent[]) =>
          events.length > 1 && events.slice(-2).every((event, _, [one]) => one && revisionOf(event) === revisionOf(one))
        const at = answers.findIndex(answer => answer.kind === 'events' && isTwo(answer.events))
        const answer = answers[at]
        if (answer?.kind !== 'events') throw new Error('no revision has two changes')
        const [head, tail] = [answer.events.slice(0, -1), answer.events.slice(-1)]
        return answers.toSpliced(at, 1, { ...answer, events: head }, { ...answer, events: tail })
      },
    ],
  ],
  resumable: [
    [
      'the first changes are left out',
      answers =>
        answers.toSpliced(
          answers.findIndex(({ kind }) => kind === 'events'),
          1,
        ),
    ],
  ],
  bookmarked: [
    [
      'a change comes after the bookmark that covers it',
      answers => {
        const at = bookmarkAt(answers)
        const [bookmark, before] = [answers[at], answers[at - 1]]
        return bookmark && before ? answers.toSpliced(at - 1, 2, bookmark, before) : answers
      },
    ],
    [
      'a bookmark goes back',
      answers => answers.toSpliced(bookmarkAt(answers) + 1, 0, { kind: 'bookmark', time: 0, revision: 1 }),
    ],
  ],
  delivered: [
    [
      'a bookmark covers what has yet to come',
      answers => {
        const bookmark = answers[bookmarkAt(answers)]
        if (bookmark?.kind !== 'bookmark') throw new Error('no bookmark')
        return answers.with(bookmarkAt(answers), { ...bookmark, revision: bookmark.revision + 40 })
      },
    ],
  ],
  previous: [
    [
      'it is left out',
      inAnswer(withPut, events =>
        events.map(event => (event.kind === 'put' ? { kind: 'put', item: event.item } : event)),
      ),
    ],
    [
      'it is older than it should be',
      inAnswer(withPut, events =>
        events.map(event =>
          event.kind === 'put' && event.previous !== undefined
            ? { ...event, previous: { ...event.previous, modRevision: event.previous.modRevision - 1 } }
            : event,
        ),
      ),
    ],
  ],
  created: [
    [
      'an update is called a creation',
      inAnswer(
        withPut,
        changeUpdate(item => ({ ...item, createRevision: item.modRevision })),
      ),
    ],
  ],
  filtered: [
    [
      'a key outside of the range comes',
      inAnswer(many(1), events => [
        ...events,
        { kind: 'delete', key: 'other', revision: revisionOf(events[0] ?? fallback) },
      ]),
    ],
  ],
  true: [
    [
      'another value comes',
      inAnswer(
        withPut,
        changeUpdate(item => ({ ...item, value: 'other' })),
      ),
    ],
    [
      'another version comes',
      inAnswer(
        withPut,
        changeUpdate(item => ({ ...item, version: item.version + 1 })),
      ),
    ],
    [
      'a delete comes in place of a put',
      inAnswer(withPut, events =>
        events.map(event =>
          event.kind === 'put' ? { kind: 'delete', key: event.item.key, revision: event.item.modRevision } : event,
        ),
      ),
    ],
  ],
  gapless: [
    ['the end never comes', answers => answers.slice(0, -3)],
    ['nothing ever comes', answers => answers.slice(0, 1)],
  ],
  compacted: [
    [
      'it is said though nobody compacted',
      answers => [...answers.slice(0, 2), { kind: 'compacted', time: 9, revision: 5 }],
    ],
  ],
}
const fallback: WatchEvent = { kind: 'delete', key: 'k0', revision: 2 }

test.each(properties.flatMap(property => spoils[property].map(([how, spoil]) => ({ property, how, spoil }))))(
  '$property is seen to break when $how',
  ({ property, spoil }) => {
    for (let seed = 1; seed <= 20; seed++) {
      const generated = generate(seed, { ...shape, operations: 600 })
      const last = lastOf(generated)
      const request = property === 'filtered' ? { ...everything, range: { prefix: 'k' } } : everything
      const answers = spoil(serve(seed, generated, request, last), generated)
      const found = checkWatches([session(request, answers)], truthOf(generated), { until: last })
      expect(new Set(found.map(finding => finding.property)), `seed ${seed}`).toContain(property)
    }
  },
)

test('a gap between two sessions of a watcher is seen', () => {
  const generated = generate(3, shape)
  const last = lastOf(generated)
  const first: WatchAnswer[] = [...serve(1, generated, everything, 50), { kind: 'ended', time: 9 }]
  const after = (start: number) =>
    session({ ...everything, start }, serve(2, generated, { ...everything, start }, last))
  const findings = (second: WatchSession) =>
    checkWatches([session(everything, first), second], truthOf(generated), { until: last })
  expect(findings(after(51))).toEqual([])
  const late = { ...after(51), answers: serve(2, generated, { ...everything, start: 53 }, last) }
  expect(findings(late).map(({ property }) => property)).toContain('gapless')
})

test('what a server is known to lose may be missing, and nothing else', () => {
  const generated = generate(3, shape)
  const last = lastOf(generated)
  const mayMiss = (change: Change) => change.kind === 'delete'
  const without = serve(1, generated, { ...everything, without: 'deletes' }, last)
  const findings = (answers: readonly WatchAnswer[]) =>
    checkWatches([session(everything, answers)], truthOf(generated), { until: last, mayMiss })
  expect(findings(without)).toEqual([])
  expect(findings(without.slice(0, -2))).not.toEqual([])
})

test('"compacted" must be said by a member that has compacted, and the start has to be below', () => {
  const generated = generate(3, shape)
  const compact: Operation = {
    client: 1,
    call: 10,
    return: 11,
    member: 'm1#1',
    request: { kind: 'compact', revision: 20 },
    outcome: { kind: 'done', response: { kind: 'compact', revision: 60 } },
  }
  const found = (one: Partial<WatchSession>) =>
    checkWatches([{ ...session(everything, []), call: 20, ...one }], truthOf(generated), { history: [compact] }).map(
      ({ property }) => property,
    )
  const refusal: WatchAnswer[] = [{ kind: 'compacted', time: 21, revision: 20 }]
  const start = (revision: number) => ({ ...everything, start: revision })
  const served = (request: WatchRequest) => serve(1, generated, request, 60)
  expect(found({ request: start(5), answers: refusal })).toEqual([])
  expect(found({ request: start(20), answers: refusal })).toEqual(['compacted'])
  expect(found({ request: start(20), answers: served(start(20)) })).toEqual([])
  expect(found({ request: start(5), answers: served(start(5)) })).toContain('compacted')
  const behind: WatchAnswer[] = [...served(start(1)).slice(0, 3), ...refusal]
  expect(found({ request: start(1), answers: behind, call: 5 })).toEqual([])
  const tooFar = [...serve(1, generated, start(1), 40), ...refusal]
  expect(found({ request: start(1), answers: tooFar, call: 5 })).toEqual(['compacted'])
  // Another member, or the same in another life, may not know yet.
  expect(found({ request: start(5), answers: served(start(5)), member: 'm1#2' })).toEqual([])
})
