// From changes in the store to watch events. Pure. An object that enters a selector is ADDED, one that leaves it is
// DELETED, whatever happened to it in the store.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import { apiVersionOf, type Kind, type KubeObject } from '../api/kind.ts'
import type { ChangeEvent, KeyValue, Revision } from '../kv/store.ts'
import { deletedObject, objectOf, servedText } from './stored.ts'

export type Change = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** Of DELETED: as it was before. */
  readonly stored: KeyValue
  readonly revision: Revision
}

export type Matches = ((object: KubeObject) => boolean) | undefined

export function changeOf(event: ChangeEvent, matches: Matches): Change | undefined {
  const before = event.previous
  const was = before !== undefined && (matches === undefined || matches(objectOf(before)))
  if (event.kind === 'delete') {
    return was ? { type: 'DELETED', stored: event.previous, revision: event.revision } : undefined
  }
  const { current } = event
  const revision = current.modRevision
  if (matches === undefined || matches(objectOf(current))) {
    return { type: was ? 'MODIFIED' : 'ADDED', stored: current, revision }
  }
  return was && before !== undefined ? { type: 'DELETED', stored: before, revision } : undefined
}

export function added(stored: KeyValue): Change {
  return { type: 'ADDED', stored, revision: stored.modRevision }
}

export function objectIn<T extends KubeObject>(change: Change): T {
  return change.type === 'DELETED' ? deletedObject(change.stored, change.revision) : objectOf(change.stored)
}

/** A line of a watch stream, made of the stored text. */
export function frameOf(change: Change): string {
  return `{"type":"${change.type}","object":${servedText(change.stored, change.revision)}}\n`
}

export function frame(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`
}

/** Says how far the watch has seen. `initial`: all that there was at the start has been sent. */
export function bookmark(kind: Kind, revision: Revision, initial: boolean): KubeObject {
  return {
    kind: kind.kind,
    apiVersion: apiVersionOf(kind),
    metadata: {
      resourceVersion: String(revision),
      creationTimestamp: null,
      ...(initial && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
    },
  } as unknown as KubeObject
}
