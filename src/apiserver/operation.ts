// A change that somebody wants made: an HTTP request once its body is decoded, or a call of the in-process client. It is
// carried out on the leader; any other peer sends it there whole, with the identity of who asks (run-forward.ts).
import type { FieldValidation } from '../api/parse.ts'
import type { Duplicates } from '../api/reader.ts'
import type { Json } from '../api/schema.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Identity } from '../world/http.ts'
import type { Served } from './stored.ts'

export type PatchKind = 'json' | 'merge' | 'strategic' | 'apply'

export type Operation = {
  readonly verb: 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly namespace?: string
  readonly name?: string
  readonly subresource?: string
  readonly body: Json
  /** Fields that the body's text named twice. */
  readonly duplicates: Duplicates
  readonly patch?: PatchKind
  /** Empty: the change is not noted in managedFields. */
  readonly fieldManager: string
  readonly fieldValidation: FieldValidation
  readonly force: boolean
  /** Of an apply or update by who may not create what it would make: why not, which is often nothing. */
  readonly createRefused?: string
  readonly dryRun: boolean
  /** Of deletecollection. */
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly identity: Identity
  /** Refused unless the leader's term is still this one. */
  readonly term?: number
  /** Drawn by the peer that was asked (ASCII): the store does nothing twice that has the same one. */
  readonly id?: string
  /** It was sent before, and nobody knows what became of it. */
  readonly again?: boolean
}

export type Answer = {
  readonly code: number
  readonly object: Json
  /** What is served of it, where it has just been stored here. */
  readonly stored?: Served
  /** The same of another peer: the line that is served, in UTF-8. */
  readonly line?: Bytes
  /** The peer that answers the client first waits until it has applied this. */
  readonly revision: number
  readonly warnings: readonly string[]
}
