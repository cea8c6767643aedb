// What a watch promises, checked on what watchers got: the nine properties of etcd's robustness tests and three more.
//
//   logOfWatches(sessions)                     → what all watchers together saw, for resolve.ts and revisions.ts
//   checkWatches(sessions, truth, options?)    → findings; none means that all is well
//
// `truth` is what each revision changed, as `replay` of revisions.ts gives it. A watcher is a chain of sessions: when a stream
// ends it opens the next one, usually elsewhere, at the revision after the last one that it got.
//
//   ordered     revisions never go down                      resumable   the first is the first there is at or after the start
//   unique      no change comes twice, in no session          bookmarked  after a bookmark nothing comes that it covers
//   reliable    none is missing between two that came         delivered   a bookmark covers nothing that did not come before
//   atomic      a revision comes in one answer                previous    the previous state of the key is the true one
//   filtered    nothing comes that was not asked for          created     it is said of creations, and of nothing else
//   true        what comes is what was written                gapless     nothing is missing over all sessions of a watcher
//   compacted   is the answer exactly when what has to come next is below what is compacted
import type { KeyValue, Operation } from './history.ts'
import { type Change, sameItem } from './model.ts'
import { type Log, nameOf, type Seen } from './resolve.ts'

export type WatchRequest = {
  /** Changes of this key alone, or of every key that begins with the prefix. */
  readonly range: { readonly key: string } | { readonly prefix: string }
  /** The first revision wanted; 0: what comes after the opening. */
  readonly start: number
  /** The previous state of the key is wanted with every change. */
  readonly previous: boolean
  /** What is left out. */
  readonly without: 'nothing' | 'puts' | 'deletes'
}

export type WatchEvent =
  | { readonly kind: 'put'; readonly item: KeyValue; readonly previous?: KeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: number; readonly previous?: KeyValue }

export type WatchAnswer = { readonly time: number } & (
  | { readonly kind: 'opened'; readonly revision: number }
  /** One message of the stream, put together again if it came in fragments. */
  | { readonly kind: 'events'; readonly revision: number; readonly events: readonly WatchEvent[] }
  | { readonly kind: 'bookmark'; readonly revision: number }
  /** The server ended it because the start is below `revision`, what is compacted. */
  | { readonly kind: 'compacted'; readonly revision: number }
  /** The stream ended for another reason. */
  | { readonly kind: 'ended' }
)

export type WatchSession = {
  readonly watcher: string
  /** The member that was asked, with its life: `m2#3`. A member that started again may have yet to catch up. */
  readonly member: string
  /** When it was asked for. */
  readonly call: number
  readonly request: WatchRequest
  readonly answers: readonly WatchAnswer[]
}

export const properties = [
  ...(['ordered', 'unique', 'reliable', 'atomic', 'resumable', 'bookmarked', 'delivered'] as const),
  ...(['previous', 'created', 'filtered', 'true', 'gapless', 'compacted'] as const),
]
export type Property = (typeof properties)[number]
export type Finding = { readonly property: Property; readonly watcher: string; readonly message: string }

export type WatchOptions = {
  /** Compactions among these count; the others are ignored. */
  readonly history?: readonly Operation[]
  /** Watchers whose last session was open at the end must have got everything up to here. */
  readonly until?: number
  /** A change that may be missing: for a server that is known to lose it. */
  mayMiss?(change: Change): boolean
}

export const revisionOf = (event: WatchEvent) => (event.kind === 'put' ? event.item.modRevision : event.revision)
const keyOf = (event: WatchEvent) => (event.kind === 'put' ? event.item.key : event.key)
const seenOfEvent = (event: WatchEvent): Seen =>
  event.kind === 'put'
    ? { kind: 'put', key: event.item.key, value: event.item.value }
    : { kind: 'delete', key: event.key }

/**
 * All that was seen, by revision. `first` is the first revision that the watchers could see; the log is complete when from
 * there on none is missing up to the last, in sessions that left nothing out. What two watchers saw differently is in it
 * twice, and no replay agrees with it.
 */
export function logOfWatches(sessions: readonly WatchSession[], first = 2): Log {
  const revisions = new Map<number, Map<string, Seen>>()
  for (const { answers } of sessions)
    for (const answer of answers)
      for (const event of answer.kind === 'events' ? answer.events : []) {
        const seen = revisions.get(revisionOf(event)) ?? new Map<string, Seen>()
        seen.set(nameOf(seenOfEvent(event)), seenOfEvent(event))
        revisions.set(revisionOf(event), seen)
      }
  const numbers = [...revisions.keys()].toSorted((a, b) => a - b)
  const isComplete = numbers.every((revision, i) => revision === first + i)
  return { revisions: new Map(numbers.map(n => [n, [...(revisions.get(n)?.values() ?? [])]])), isComplete }
}

/** One change of the truth. */
type Fact = { readonly revision: number; readonly key: string; readonly change: Change }

const keyOfChange = (change: Change) => (change.kind === 'put' ? change.current.key : change.key)

export function checkWatches(
  sessions: readonly WatchSession[],
  truth: ReadonlyMap<number, readonly Change[]>,
  options: WatchOptions = {},
): Finding[] {
  const facts = [...truth].flatMap(([revision, changes]) =>
    changes.map((change): Fact => ({ revision, key: keyOfChange(change), change })),
  )
  facts.sort((a, b) => a.revision - b.revision)
  const compactions = compactionsOf(options.history ?? [])
  const { mayMiss } = options
  const findings: Finding[] = []
  for (const [watcher, chain] of Map.groupBy(sessions, session => session.watcher)) {
    const add = (property: Property, message: string) => findings.push({ property, watcher, message })
    for (const session of chain) {
      const wanted = facts.filter(fact => isWanted(session.request, fact))
      const due = mayMiss === undefined ? wanted : wanted.filter(({ change }) => !mayMiss(change))
      checkOrder(session, add)
      checkBookmarks(session, due, add)
      checkCompacted(session, compactions, add)
      checkContents(session, wanted, compactions, add)
      checkGaps(session, due, add)
    }
    checkUnique(chain, add)
    checkChain(
      chain,
      mayMiss === undefined ? facts : facts.filter(({ change }) => !mayMiss(change)),
      options.until,
      add,
    )
  }
  return findings
}

type Add = (property: Property, message: string) => void

function isWanted({ range, without }: WatchRequest, { key, change }: Fact): boolean {
  return isInRange(range, key) && !isLeftOut(without, change.kind)
}

const isInRange = (range: WatchRequest['range'], key: string) =>
  'key' in range ? key === range.key : key.startsWith(range.prefix)
const isLeftOut = (without: WatchRequest['without'], kind: 'put' | 'delete') => without === `${kind}s`

const eventsOf = (session: WatchSession) =>
  session.answers.flatMap(answer => (answer.kind === 'events' ? answer.events : []))

/** The first revision that the session has to show; undefined when it never opened. */
function startOf(session: WatchSession): number | undefined {
  if (session.request.start > 0) return session.request.start
  const opened = session.answers.find(({ kind }) => kind === 'opened')
  return opened?.kind === 'opened' ? opened.revision + 1 : undefined
}

function checkOrder(session: WatchSession, add: Add): void {
  let last = 0
  for (const answer of session.answers) {
    if (answer.kind !== 'events') continue
    const first = answer.events[0]
    // Revisions of one answer may be many; the next answer begins with another.
    if (first !== undefined && revisionOf(first) === last) add('atomic', `revision ${last} came in two answers`)
    for (const event of answer.events) {
      const revision = revisionOf(event)
      if (revision < last) add('ordered', `revision ${revision} came after ${last}`)
      last = Math.max(last, revision)
    }
  }
}

function checkUnique(chain: readonly WatchSession[], add: Add): void {
  const seen = new Set<string>()
  for (const session of chain)
    for (const event of eventsOf(session)) {
      const name = `${revisionOf(event)} ${keyOf(event)}`
      if (seen.has(name)) add('unique', `the change of ${keyOf(event)} at ${revisionOf(event)} came twice`)
      seen.add(name)
    }
}

function checkBookmarks(session: WatchSession, wanted: readonly Fact[], add: Add): void {
  const start = startOf(session) ?? 0
  let bookmark = 0
  let got = 0
  const delivered = new Set<string>()
  for (const answer of session.answers) {
    if (answer.kind === 'events')
      for (const event of answer.events) {
        if (revisionOf(event) <= bookmark)
          add('bookmarked', `revision ${revisionOf(event)} came after bookmark ${bookmark}`)
        delivered.add(`${revisionOf(event)} ${keyOf(event)}`)
      }
    if (answer.kind !== 'bookmark') continue
    if (answer.revision < bookmark) add('bookmarked', `bookmark ${answer.revision} came after bookmark ${bookmark}`)
    bookmark = Math.max(bookmark, answer.revision)
    for (let fact = wanted[got]; fact !== undefined && fact.revision <= bookmark; fact = wanted[++got])
      if (fact.revision >= start && !delivered.has(`${fact.revision} ${fact.key}`))
        add('delivered', `bookmark ${answer.revision} came before the change of ${fact.key} at ${fact.revision}`)
  }
}

function checkContents(session: WatchSession, wanted: readonly Fact[], compactions: Compactions, add: Add): void {
  const facts = new Map(wanted.map(fact => [`${fact.revision} ${fact.key}`, fact.change]))
  const { request } = session
  for (const answer of session.answers)
    for (const event of answer.kind === 'events' ? answer.events : []) {
      const [key, revision] = [keyOf(event), revisionOf(event)]
      const what = `the ${event.kind} of ${key} at ${revision}`
      if (!isInRange(request.range, key) || isLeftOut(request.without, event.kind))
        add('filtered', `${what} was not asked for`)
      const change = facts.get(`${revision} ${key}`)
      if (change === undefined || change.kind !== event.kind) {
        add('true', `${what} never happened`)
        continue
      }
      if (event.kind === 'put' && change.kind === 'put') {
        if (!sameItem(event.item, change.current)) add('true', `${what} shows ${JSON.stringify(event.item)}`)
        const isCreation = event.item.createRevision === event.item.modRevision
        if (isCreation !== (change.previous === undefined))
          add('created', `${what} is ${isCreation ? '' : 'not '}said to be a creation`)
      }
      checkPrevious(event, request.previous ? change.previous : undefined, compactions.before(answer.time), add)
    }
}

/** What came before may be left out once it is compacted. */
function checkPrevious(event: WatchEvent, previous: KeyValue | undefined, compacted: number, add: Add): void {
  if (sameItem(event.previous, previous)) return
  if (event.previous === undefined && revisionOf(event) - 1 < compacted) return
  const [shown, was] = [JSON.stringify(event.previous), JSON.stringify(previous)]
  add('previous', `${keyOf(event)} at ${revisionOf(event)} should have had ${was} before, and shows ${shown}`)
}

/** Nothing is missing from the start to the first change that came, nor between any two. */
function checkGaps(session: WatchSession, wanted: readonly Fact[], add: Add): void {
  const events = eventsOf(session)
  const start = startOf(session)
  const first = events[0]
  const last = events.reduce((newest, event) => Math.max(newest, revisionOf(event)), 0)
  if (start === undefined || first === undefined) return
  const early = events.find(event => revisionOf(event) < start)
  if (early !== undefined) add('resumable', `revision ${revisionOf(early)} came, from ${start} on was asked for`)
  const delivered = new Set(events.map(event => `${revisionOf(event)} ${keyOf(event)}`))
  for (const fact of wanted) {
    if (fact.revision < start || fact.revision > last || delivered.has(`${fact.revision} ${fact.key}`)) continue
    const isBefore = fact.revision < revisionOf(first)
    const where = isBefore ? `the first, from ${start} on` : `between ${revisionOf(first)} and ${last}`
    add(isBefore ? 'resumable' : 'reliable', `the change of ${fact.key} at ${fact.revision} is missing: ${where}`)
  }
}

/** Over all sessions: whoever resumes after the last revision that it got, or after the last bookmark, misses nothing. */
function checkChain(chain: readonly WatchSession[], facts: readonly Fact[], until: number | undefined, add: Add): void {
  const delivered = new Set(chain.flatMap(eventsOf).map(event => `${revisionOf(event)} ${keyOf(event)}`))
  let from: number | undefined
  let reached = 0
  for (const session of chain) {
    const start = startOf(session)
    if (start === undefined) continue
    // A watcher that was told "compacted" has to begin anew: what it skips is not missing.
    if (from !== undefined && start > reached + 1) checkSpan(session.request, facts, from, reached, delivered, add)
    if (from === undefined || start > reached + 1) from = start
    for (const answer of session.answers) {
      if (answer.kind === 'bookmark') reached = Math.max(reached, answer.revision)
      if (answer.kind === 'events') for (const event of answer.events) reached = Math.max(reached, revisionOf(event))
    }
  }
  const last = chain.at(-1)
  const isOpen = last?.answers.every(({ kind }) => kind !== 'ended' && kind !== 'compacted')
  if (last !== undefined && from !== undefined)
    checkSpan(last.request, facts, from, isOpen ? (until ?? reached) : reached, delivered, add)
}

function checkSpan(
  request: WatchRequest,
  facts: readonly Fact[],
  from: number,
  to: number,
  delivered: ReadonlySet<string>,
  add: Add,
): void {
  for (const fact of facts) {
    if (fact.revision < from || fact.revision > to || !isWanted(request, fact)) continue
    if (!delivered.has(`${fact.revision} ${fact.key}`))
      add('gapless', `the change of ${fact.key} at ${fact.revision} never came, of ${from} to ${to}`)
  }
}

type Compactions = {
  /** The highest revision that anybody had asked to be compacted at the time. */
  before(time: number): number
  /** The highest that the member itself had answered for. */
  at(member: string, time: number): number
}

function compactionsOf(history: readonly Operation[]): Compactions {
  const all = history.flatMap(({ request, outcome, member, call, return: end }) =>
    request.kind === 'compact' && outcome.kind !== 'failed'
      ? [
          {
            revision: request.revision,
            member,
            call,
            end,
            isDone: outcome.kind === 'done' && 'revision' in outcome.response,
          },
        ]
      : [],
  )
  const highest = (some: readonly { revision: number }[]) => Math.max(0, ...some.map(({ revision }) => revision))
  return {
    before: time => highest(all.filter(({ call }) => call <= time)),
    at: (member, time) => highest(all.filter(one => one.isDone && one.member === member && one.end < time)),
  }
}

function checkCompacted(session: WatchSession, compactions: Compactions, add: Add): void {
  const { start } = session.request
  const must = compactions.at(session.member, session.call)
  // What it has to be shown next. A watcher that was served and then fell behind may be told, too.
  let next = startOf(session) ?? 0
  for (const answer of session.answers) {
    if (answer.kind === 'compacted') {
      const highest = compactions.before(answer.time)
      if (next >= answer.revision) add('compacted', `from ${next} on is not below ${answer.revision}`)
      if (answer.revision > highest) add('compacted', `${answer.revision} is above ${highest}, all that was asked for`)
    } else if (answer.kind === 'events' && start > 0 && start < must)
      add('compacted', `from ${start} on was served by ${session.member}, which had compacted ${must}`)
    if (answer.kind === 'bookmark') next = Math.max(next, answer.revision + 1)
    if (answer.kind === 'events') for (const event of answer.events) next = Math.max(next, revisionOf(event) + 1)
  }
}
