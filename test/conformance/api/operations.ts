// What every kind of the API can do, as the official suite walks through it: discovery, create, get, list, watch, patch,
// update, the status by its own path, tables, delete and deletecollection.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Controller } from '../../../src/controllers/controller.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { request, testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'

export type Walk = {
  /** '/apis/networking.k8s.io/v1'. */
  readonly root: string
  readonly resource: string
  readonly kind: string
  /** Absent: of the cluster. */
  readonly namespace?: string
  readonly shortNames?: readonly string[]
  readonly subresources?: readonly string[]
  /** A body; the label is added. */
  make(i: number): { readonly metadata: { readonly name: string }; readonly [key: string]: unknown }
  /** A merge patch of what is wanted, and what must then be found in the object. */
  readonly change?: object
  readonly status?: { readonly patch: object; readonly expected: object }
  /** Names of columns with priority 0, and the cells of make(0) once created. */
  readonly columns: readonly string[]
  readonly cells: readonly unknown[]
  /** Run beside the server, where something of the kind's life is theirs. */
  readonly controllers?: readonly Controller[]
}

/** For what a controller does in its own time. */
const patience = { timeout: 20_000 }

type Api = Awaited<ReturnType<typeof testApiserver>>

export function walkThrough(walk: Walk): void {
  const at = `${walk.root}${walk.namespace ? `/namespaces/${walk.namespace}` : ''}/${walk.resource}`
  const labelled = (i: number) => {
    const body = walk.make(i)
    const [, group] = walk.root.split('/apis/')
    return { apiVersion: group, kind: walk.kind, ...body, metadata: { ...body.metadata, labels: { walk: 'yes' } } }
  }

  describe(`${walk.resource}: what every kind can do`, () => {
    let api: Api
    let ask: Asking
    let since: string
    let running: Promise<void>
    const name = walk.make(0).metadata.name
    beforeAll(async () => {
      api = await testApiserver()
      ask = asking(api)
      since = (await ask(at)).body.metadata.resourceVersion
      running = runControllers(api.world, api.client, inputs(), walk.controllers ?? [], api.signal)
    })
    afterAll(async () => {
      api.stop()
      await running
    })

    test('stands in discovery', async () => {
      const { body } = await ask(walk.root)
      const found = body.resources.find((each: { name: string }) => each.name === walk.resource)
      expect(found).toMatchObject({ kind: walk.kind, namespaced: walk.namespace !== undefined })
      expect(found.shortNames).toEqual(walk.shortNames)
      const under = body.resources.map((each: { name: string }) => each.name)
      const subresources = under.filter((each: string) => each.startsWith(`${walk.resource}/`))
      expect(subresources).toEqual((walk.subresources ?? []).map(sub => `${walk.resource}/${sub}`))
    })

    test('is created, read, and listed', async () => {
      const made = await ask(at, { body: labelled(0) })
      expect(made.message).toBe('')
      expect(made.code).toBe(201)
      expect(made.body.metadata).toMatchObject({ name, labels: { walk: 'yes' } })
      expect((await ask(`${at}/${name}`)).body).toEqual(made.body)
      expect((await ask(at, { body: labelled(0) })).code).toBe(409)
      await ask(at, { body: labelled(1) })
      const { body } = await ask(`${walk.root}/${walk.resource}?labelSelector=walk%3Dyes`)
      expect(body.kind).toBe(`${walk.kind}List`)
      expect(body.items).toHaveLength(2)
    })

    test('makes a table', async () => {
      const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
      const { body } = await ask(`${at}/${name}`, { accept })
      const shown = body.columnDefinitions.filter((column: { priority: number }) => column.priority === 0)
      expect(shown.map((column: { name: string }) => column.name)).toEqual(walk.columns)
      const [{ cells }] = body.rows
      const age = walk.columns.indexOf('Age')
      expect(age < 0 ? cells : cells.toSpliced(age, 1)).toEqual(walk.cells)
    })

    test('is patched and updated, the version of the reader permitting', async () => {
      const before = (await ask(`${at}/${name}`)).body
      const annotations = { walked: 'patched' }
      const patched = await ask(`${at}/${name}`, {
        method: 'PATCH',
        body: { metadata: { annotations }, ...walk.change },
      })
      expect(patched.message).toBe('')
      expect(patched.body).toMatchObject({ metadata: { annotations }, ...walk.change })
      const stale = await ask(`${at}/${name}`, { method: 'PUT', body: before })
      expect(stale.code).toBe(409)
      const next = { ...patched.body, metadata: { ...patched.body.metadata, annotations: { walked: 'updated' } } }
      const updated = await ask(`${at}/${name}`, { method: 'PUT', body: next })
      expect(updated.body.metadata.annotations).toEqual({ walked: 'updated' })
    })

    const { status } = walk
    if (status !== undefined) {
      test('takes its status by /status alone', async () => {
        const main = await ask(`${at}/${name}`, { method: 'PATCH', body: { status: status.patch } })
        expect(main.body.status).not.toMatchObject(status.expected)
        const by = await ask(`${at}/${name}/status`, { method: 'PATCH', body: { status: status.patch } })
        expect(by.message).toBe('')
        expect(by.body.status).toMatchObject(status.expected)
        const read = (await ask(`${at}/${name}/status`)).body
        expect(read).toEqual((await ask(`${at}/${name}`)).body)
        const put = await ask(`${at}/${name}/status`, {
          method: 'PUT',
          body: { ...read, metadata: { ...read.metadata, annotations: { walked: 'status' } } },
        })
        expect(put.body.metadata.annotations).toEqual({ walked: 'status' })
      })
    }

    test('is deleted, alone and with others, and a watch has seen it all', async () => {
      expect((await ask(`${at}/${name}`, { method: 'DELETE' })).code).toBe(200)
      await expect.poll(async () => (await ask(`${at}/${name}`)).code, patience).toBe(404)
      const all = await ask(`${at}?labelSelector=walk%3Dyes`, { method: 'DELETE' })
      expect(all.code).toBe(200)
      await expect.poll(async () => (await ask(`${at}?labelSelector=walk%3Dyes`)).body.items, patience).toEqual([])
      const other = walk.make(1).metadata.name
      const events = await watched(api, `${at}?watch=true&resourceVersion=${since}`, ({ type, object }) => {
        return type === 'DELETED' && object.metadata.name === other
      })
      const [first] = events
      expect(first).toMatchObject({ type: 'ADDED', object: { kind: walk.kind, metadata: { name } } })
      const types = events.filter(({ object }) => object.metadata.name === name).map(({ type }) => type)
      expect([types[0], types.at(-1)]).toEqual(['ADDED', 'DELETED'])
      expect(new Set(types)).toEqual(new Set(['ADDED', 'MODIFIED', 'DELETED']))
    })
  })
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came
export type Event = { readonly type: string; readonly object: any }

/** The events of a watch, up to the one that is waited for. */
export async function watched(
  { apiserver }: Pick<Api, 'apiserver'>,
  url: string,
  isLast: (event: Event) => boolean,
): Promise<readonly Event[]> {
  const controller = new AbortController()
  const response = await apiserver.handle(request(url, { signal: controller.signal }))
  if (response.kind !== 'stream') throw new Error(`no stream: ${JSON.stringify(response)}`)
  const events: Event[] = []
  let text = ''
  for await (const chunk of response.body) {
    text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    events.push(...lines.filter(line => line !== '').map(line => JSON.parse(line) as Event))
    if (events.some(isLast)) break
  }
  controller.abort()
  return events
}
