// Answers as kubectl wants them for people: meta/v1 Table, made from the kind's columns, and PartialObjectMetadata.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
import { ageColumn, nameColumn } from './cells.ts'
import type { Column, Kind, KubeObject } from './kind.ts'
import type { Json, JsonObject } from './schema.ts'

export type IncludeObject = 'None' | 'Metadata' | 'Object'
export type ListMetaOut = {
  readonly resourceVersion?: string
  readonly continue?: string
  readonly remainingItemCount?: number
}
export type TableOptions = {
  /** What each row carries of its object; kubectl reads name and namespace there. */
  readonly includeObject?: IncludeObject
  readonly listMeta?: ListMetaOut
  /** False for the later frames of a watch. */
  readonly columnDefinitions?: boolean
  readonly version?: 'v1' | 'v1beta1'
}

/** All columns in the order in which kubectl shows them. */
export function columnsOf<T extends KubeObject>(kind: Kind<T>): readonly Column<T>[] {
  const own = kind.columns()
  const has = (name: string) => own.some(column => column.name === name)
  const named = own.some(({ format }) => format === 'name') ? own : [nameColumn, ...own]
  if (!kind.ageColumn || has('Age')) return named
  return named.toSpliced(named.findLastIndex(column => (column.priority ?? 0) === 0) + 1, 0, ageColumn)
}

export function toTable<T extends KubeObject>(
  kind: Kind<T>,
  objects: readonly T[],
  nowMs: number,
  options: TableOptions = {},
): JsonObject {
  const columns = columnsOf(kind)
  return { ...tableHead(columns, options), rows: objects.map(object => tableRow(columns, object, nowMs, options)) }
}

/** A Table without its rows. */
export function tableHead(columns: readonly Column<never>[], options: TableOptions): JsonObject {
  const { listMeta = {}, columnDefinitions = true, version = 'v1' } = options
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: { ...listMeta },
    columnDefinitions: columnDefinitions ? columns.map(definitionOf) : null,
  }
}

export function tableRow<T extends KubeObject>(
  columns: readonly Column<T>[],
  object: T,
  nowMs: number,
  options: TableOptions,
): JsonObject {
  return rowOf(
    object,
    columns.map(column => column.cell(object, nowMs)),
    options,
  )
}

function rowOf(
  object: KubeObject,
  cells: readonly Json[],
  { includeObject, version = 'v1' }: TableOptions,
): JsonObject {
  return {
    cells,
    ...(includeObject !== 'None' && {
      object: includeObject === 'Object' ? (object as unknown as Json) : partialObjectMetadata(object, version),
    }),
  }
}

/** A bookmark as a Table: the row says nothing but the revision. */
export function bookmarkTable(kind: Kind, bookmark: KubeObject, options: TableOptions): JsonObject {
  const columns = columnsOf(kind)
  const cells = columns.map(() => '')
  return { ...tableHead(columns, options), rows: [rowOf(bookmark, cells, options)] }
}

function definitionOf<T>(column: Column<T>): Json {
  return {
    name: column.name,
    type: column.type,
    format: column.format ?? '',
    description: column.description ?? '',
    priority: column.priority ?? 0,
  }
}

export function partialObjectMetadata(object: KubeObject, version: 'v1' | 'v1beta1' = 'v1'): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: object.metadata as unknown as Json,
  }
}

export function partialObjectMetadataList(
  objects: readonly KubeObject[],
  listMeta: ListMetaOut,
  version: 'v1' | 'v1beta1' = 'v1',
): JsonObject {
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: { ...listMeta },
    items: objects.map(object => partialObjectMetadata(object, version)),
  }
}
