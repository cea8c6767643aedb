// Histories: what clients asked of a store with etcd's API, when, and what came back. Everything that is checked (model.ts,
// wgl.ts, revisions.ts, keys.ts, watches.ts) reads these; the simulator and the runs on real processes write them.
//
//   Operation = { client, call, return, request, outcome }
//
// Times are numbers of one clock, in any unit; `return` is Infinity when nobody knows whether or when the operation took
// effect. On disk a history is JSON lines, one operation each, with `null` for Infinity.
//
// Outcomes are told apart as a checker must: `done` came back with a response; `ambiguous` was sent and may have happened,
// may yet happen or may never (timeout, lost connection, "unavailable" after the send); `failed` surely never happens (the
// connection was refused, or the store said so before it proposed anything). When in doubt it is ambiguous.

/** A key as etcd shows it. `version` is 1 after creation. */
export type KeyValue = {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
}

export type Comparison = '=' | '!=' | '<' | '>'

/** One condition of a transaction. An absent key has 0 for all three numbers; a comparison of its value is false. */
export type Compare =
  | {
      readonly target: 'mod' | 'create' | 'version'
      readonly key: string
      readonly is: Comparison
      readonly than: number
    }
  | { readonly target: 'value'; readonly key: string; readonly is: Comparison; readonly than: string }

export type PutRequest = { readonly kind: 'put'; readonly key: string; readonly value: string }
export type DeleteRequest = { readonly kind: 'delete'; readonly key: string }
/** `serializable`: answered by one member from what it has, perhaps old. `revision`: the state as of then. */
export type ReadOptions = { readonly serializable?: boolean; readonly revision?: number }
export type GetRequest = { readonly kind: 'get'; readonly key: string } & ReadOptions
/** All keys that begin with `prefix`, in byte order. */
export type RangeRequest = { readonly kind: 'range'; readonly prefix: string } & ReadOptions
/** What a transaction may do; its reads take no options. */
export type Step = PutRequest | DeleteRequest | GetRequest | RangeRequest
export type TxnRequest = {
  readonly kind: 'txn'
  readonly compare: readonly Compare[]
  readonly success: readonly Step[]
  readonly failure: readonly Step[]
}
/** From now on revisions below `revision` cannot be read or watched. */
export type CompactRequest = { readonly kind: 'compact'; readonly revision: number }
export type Request = Step | TxnRequest | CompactRequest

/** `revision` is that of the response's header: the store's after the operation. */
export type PutResponse = { readonly kind: 'put'; readonly revision: number }
export type DeleteResponse = { readonly kind: 'delete'; readonly revision: number; readonly deleted: number }
/** Answers `get` and `range`. */
export type ItemsResponse = { readonly kind: 'items'; readonly revision: number; readonly items: readonly KeyValue[] }
export type StepResponse = PutResponse | DeleteResponse | ItemsResponse
/** The revisions inside `steps` are not compared: etcd leaves them out. */
export type TxnResponse = {
  readonly kind: 'txn'
  readonly revision: number
  readonly succeeded: boolean
  readonly steps: readonly StepResponse[]
}
export type CompactResponse = { readonly kind: 'compact'; readonly revision: number }
/** The revision asked for is below the compacted one, or above the newest. */
export type OutOfRange = { readonly kind: 'compacted' } | { readonly kind: 'future' }
export type Response = StepResponse | TxnResponse | CompactResponse | OutOfRange

export type Outcome =
  | { readonly kind: 'done'; readonly response: Response }
  /** `revision`: it did happen, and this is the revision that it made, as others saw it (resolve.ts). */
  | { readonly kind: 'ambiguous'; readonly revision?: number }
  | { readonly kind: 'failed' }

export type Operation = {
  readonly client: number
  readonly call: number
  readonly return: number
  readonly request: Request
  readonly outcome: Outcome
  /** The member that was asked, for the reader of a report. */
  readonly member?: string
}

/** True when the request changes nothing, whatever the state. */
export function isRead(request: Request): boolean {
  switch (request.kind) {
    case 'get':
    case 'range':
      return true
    case 'txn':
      return [...request.success, ...request.failure].every(isRead)
    case 'put':
    case 'delete':
    case 'compact':
      return false
  }
}

/** One line of JSON, without the line's end. */
export function formatOperation(operation: Operation): string {
  return JSON.stringify(operation, (name, value) => (name === 'return' && value === Infinity ? null : value))
}

/** Reads JSON lines; throws with the line's number when one is no operation. */
export function parseHistory(text: string): Operation[] {
  const operations: Operation[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const parsed: unknown = JSON.parse(line)
    if (!isOperation(parsed)) throw new Error(`line ${i + 1} is no operation: ${line.slice(0, 200)}`)
    operations.push({ ...parsed, return: parsed.return ?? Infinity })
  }
  return operations
}

const requestKinds = new Set(['put', 'delete', 'get', 'range', 'txn', 'compact'])
const outcomeKinds = new Set(['done', 'ambiguous', 'failed'])

function isOperation(value: unknown): value is Operation {
  if (typeof value !== 'object' || value === null) return false
  const { client, call, return: end, request, outcome } = value as Partial<Operation>
  return (
    typeof client === 'number' &&
    typeof call === 'number' &&
    (end === null || typeof end === 'number') &&
    requestKinds.has(request?.kind ?? '') &&
    outcomeKinds.has(outcome?.kind ?? '')
  )
}

/** One line for people. */
export function describeOperation(operation: Operation): string {
  const { client, call, request, outcome, member } = operation
  const end = operation.return === Infinity ? '?' : operation.return
  const where = member === undefined ? '' : ` at ${member}`
  const came =
    outcome.kind === 'done'
      ? describeResponse(outcome.response)
      : outcome.kind + ('revision' in outcome ? ` @${outcome.revision}` : '')
  return `[${call}, ${end}] client ${client}${where}: ${describeRequest(request)} → ${came}`
}

const shorten = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}…` : text)

function describeRequest(request: Request): string {
  switch (request.kind) {
    case 'put':
      return `put ${request.key}=${shorten(request.value)}`
    case 'delete':
      return `delete ${request.key}`
    case 'get':
      return `get ${request.key}${describeOptions(request)}`
    case 'range':
      return `range ${request.prefix}*${describeOptions(request)}`
    case 'compact':
      return `compact ${request.revision}`
    case 'txn': {
      const compare = request.compare.map(c => `${c.target}(${c.key}) ${c.is} ${shorten(`${c.than}`)}`).join(' and ')
      const steps = (list: readonly Step[]) => list.map(describeRequest).join('; ') || 'nothing'
      return `if ${compare || 'true'} then ${steps(request.success)} else ${steps(request.failure)}`
    }
  }
}

const describeOptions = (options: ReadOptions) =>
  (options.serializable ? ' serializable' : '') + (options.revision === undefined ? '' : ` as of ${options.revision}`)

function describeResponse(response: Response): string {
  switch (response.kind) {
    case 'compacted':
    case 'future':
      return response.kind
    case 'put':
    case 'compact':
      return `@${response.revision}`
    case 'delete':
      return `${response.deleted} deleted @${response.revision}`
    case 'items':
      return `${response.items.map(describeItem).join(' ') || 'nothing'} @${response.revision}`
    case 'txn':
      return `${response.succeeded ? 'then' : 'else'} (${response.steps.map(describeResponse).join('; ')}) @${response.revision}`
  }
}

const describeItem = (item: KeyValue) =>
  `${item.key}=${shorten(item.value)}(create ${item.createRevision}, mod ${item.modRevision}, version ${item.version})`
