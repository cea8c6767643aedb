// Watches: what they show, from where they go on, on which server, and how they end.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../apiserver/memory-store.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { type Api, ask, asPartial, oneApi, openWatch, patch, post, put, remove, table } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const pods = '/api/v1/namespaces/default/pods'
const labelled = (name: string, value: string, data = {}) => ({ metadata: { name, labels: { l: value } }, data })
const revisionOf = async (api: Api) => (await ask(api, `${maps}?limit=1`)).body.metadata.resourceVersion

describe('watch', () => {
  const one = oneApi()

  test('by label: what begins to match is ADDED, what ceases to is DELETED as it last matched', async () => {
    const from = await revisionOf(one.api)
    const a = await openWatch(one.api, `${maps}?watch=true&labelSelector=l%3Da&resourceVersion=${from}`)
    const both = await openWatch(one.api, `${maps}?watch=1&labelSelector=l+in+(a,b)&resourceVersion=${from}`)
    await post(one.api, maps, labelled('x', 'a'))
    await patch(one.api, `${maps}/x`, 'merge', { data: { mutation: '1' } })
    await patch(one.api, `${maps}/x`, 'merge', { metadata: { labels: { l: 'b' } } })
    await patch(one.api, `${maps}/x`, 'merge', { data: { mutation: '2' } })
    await patch(one.api, `${maps}/x`, 'merge', { metadata: { labels: { l: 'a' } } })
    await remove(one.api, `${maps}/x`)
    expect(await a.names(2)).toEqual(['ADDED x', 'MODIFIED x'])
    const left = await a.next()
    expect([left.type, left.object.metadata.labels, left.object['data']]).toEqual([
      'DELETED',
      { l: 'a' },
      { mutation: '1' },
    ])
    expect(await a.names(2)).toEqual(['ADDED x', 'DELETED x'])
    expect(await both.names(6)).toEqual(['ADDED x', ...Array(4).fill('MODIFIED x'), 'DELETED x'])
    a.close()
    both.close()
  })

  test('from the revision of any write it shows what came after it, and of a deletion the revision of that', async () => {
    const made = await post(one.api, maps, labelled('from', 'from'))
    const first = await patch(one.api, `${maps}/from`, 'merge', { data: { a: '1' } })
    await patch(one.api, `${maps}/from`, 'merge', { data: { a: '2' } })
    await remove(one.api, `${maps}/from`)
    const watch = await openWatch(one.api, `${maps}?watch=1&resourceVersion=${first.body.metadata.resourceVersion}`)
    const [modified, deleted] = [await watch.next(), await watch.next()]
    expect([modified.type, modified.object['data']]).toEqual(['MODIFIED', { a: '2' }])
    expect(deleted.type).toBe('DELETED')
    const revisions = [made.body, first.body, modified.object, deleted.object].map(o =>
      Number(o.metadata.resourceVersion),
    )
    expect(revisions).toEqual(revisions.toSorted((x, y) => x - y))
    expect(new Set(revisions).size).toBe(4)
    watch.close()
  })

  test('opened again at the last revision that was seen, it misses nothing and repeats nothing', async () => {
    let from = await revisionOf(one.api)
    const seen: string[] = []
    for (let i = 0; i < 5; i++) {
      await post(one.api, maps, labelled(`restart-${2 * i}`, 'restart'))
      await post(one.api, maps, labelled(`restart-${2 * i + 1}`, 'restart'))
      const watch = await openWatch(one.api, `${maps}?watch=1&labelSelector=l%3Drestart&resourceVersion=${from}`)
      const frame = await watch.next()
      watch.close()
      seen.push(frame.object.metadata.name)
      from = frame.object.metadata.resourceVersion
    }
    const rest = await openWatch(one.api, `${maps}?watch=1&labelSelector=l%3Drestart&resourceVersion=${from}`)
    seen.push(...(await rest.names(5)).map(name => name.replace('ADDED ', '')))
    rest.close()
    expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => `restart-${i}`))
  })

  test('all who watch see the same order', async () => {
    const from = await revisionOf(one.api)
    const watches = await Promise.all(
      Array.from({ length: 20 }, () =>
        openWatch(one.api, `${maps}?watch=1&labelSelector=l%3Dorder&resourceVersion=${from}`),
      ),
    )
    const writes = Array.from({ length: 30 }, async (_, i) => {
      await post(one.api, maps, labelled(`order-${i}`, 'order'))
      if (i % 3 === 0) await remove(one.api, `${maps}/order-${i}`)
      else await patch(one.api, `${maps}/order-${i}`, 'merge', { data: { a: '1' } })
    })
    await Promise.all(writes)
    const orders = await Promise.all(watches.map(watch => watch.names(60)))
    for (const order of orders) expect(order).toEqual(orders[0])
    for (const watch of watches) watch.close()
  })

  test('without a revision, and from 0, it begins with what there is', async () => {
    await post(one.api, maps, labelled('there', 'there'))
    for (const query of ['', '&resourceVersion=', '&resourceVersion=0']) {
      const watch = await openWatch(one.api, `${maps}?watch=1&labelSelector=l%3Dthere${query}`)
      expect(await watch.names(1)).toEqual(['ADDED there'])
      watch.close()
    }
  })

  test('of one object: by its path, by the old path, by its name as a field', async () => {
    const { body } = await post(one.api, maps, labelled('single', 'single'))
    const from = `resourceVersion=${body.metadata.resourceVersion}`
    const watches = [
      await openWatch(one.api, `${maps}/single?watch=true&${from}`),
      await openWatch(one.api, `/api/v1/watch/namespaces/default/configmaps/single?${from}`),
      await openWatch(one.api, `${maps}?watch&fieldSelector=metadata.name%3Dsingle&${from}`),
      await openWatch(
        one.api,
        `/api/v1/configmaps?watch=1&fieldSelector=metadata.name=single,metadata.namespace=default&${from}`,
      ),
    ]
    await post(one.api, maps, labelled('not-single', 'single'))
    await patch(one.api, `${maps}/single`, 'merge', { data: { a: '1' } })
    for (const watch of watches) {
      expect(await watch.names(1)).toEqual(['MODIFIED single'])
      watch.close()
    }
  })

  test('by a field: a pod that leaves the selector is DELETED', async () => {
    const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'a', image: 'a' }] } }
    const from = await revisionOf(one.api)
    const query = `watch=1&fieldSelector=status.phase%3DPending&resourceVersion=${from}`
    const watch = await openWatch(one.api, `${pods}?${query}`)
    const { body } = await post(one.api, pods, pod)
    await put(one.api, `${pods}/p/status`, { ...body, status: { phase: 'Running' } })
    expect(await watch.names(2)).toEqual(['ADDED p', 'DELETED p'])
    watch.close()
  })

  test('ends by itself after timeoutSeconds, with a bookmark where those are allowed', async () => {
    const from = await revisionOf(one.api)
    const watch = await openWatch(
      one.api,
      `${maps}?watch=1&labelSelector=l%3Dending&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=${from}`,
    )
    await post(one.api, maps, labelled('elsewhere', 'elsewhere'))
    const frames = await watch.all()
    expect(frames.map(({ type }) => type)).toEqual(['BOOKMARK'])
    expect(frames[0]?.object).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1' })
    expect(Number(frames[0]?.object.metadata.resourceVersion)).toBeGreaterThan(Number(from))
    const silent = await openWatch(
      one.api,
      `${maps}?watch=1&timeoutSeconds=1&resourceVersion=${from}&labelSelector=l%3Dx`,
    )
    expect(await silent.all()).toEqual([])
  })

  test('a streaming list: all there is, a bookmark that says so, then what comes', async () => {
    for (const i of [1, 2, 3]) await post(one.api, maps, labelled(`streamed-${i}`, 'streamed'))
    const query =
      'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=l%3Dstreamed'
    for (const from of [
      '',
      '&resourceVersion=',
      '&resourceVersion=0',
      `&resourceVersion=${await revisionOf(one.api)}`,
    ]) {
      const watch = await openWatch(one.api, `${maps}?watch=1&${query}${from}`)
      expect(await watch.names(3)).toEqual(['ADDED streamed-1', 'ADDED streamed-2', 'ADDED streamed-3'])
      const bookmark = await watch.next()
      expect([bookmark.type, bookmark.object.metadata.annotations]).toEqual([
        'BOOKMARK',
        { 'k8s.io/initial-events-end': 'true' },
      ])
      const { body } = await patch(one.api, `${maps}/streamed-1`, 'merge', {
        data: { at: bookmark.object.metadata.resourceVersion },
      })
      const next = await watch.next()
      expect([next.type, next.object]).toEqual(['MODIFIED', body])
      watch.close()
    }
  })

  test('a streaming list without initial events begins with what comes', async () => {
    await post(one.api, maps, labelled('quiet', 'quiet'))
    const query = 'sendInitialEvents=false&resourceVersionMatch=NotOlderThan&labelSelector=l%3Dquiet'
    const watch = await openWatch(one.api, `${maps}?watch=1&${query}`)
    const next = watch.names(1)
    // The watch begins when its first frame is asked for.
    await new Promise(resolve => setImmediate(resolve))
    await patch(one.api, `${maps}/quiet`, 'merge', { data: { a: '1' } })
    expect(await next).toEqual(['MODIFIED quiet'])
    watch.close()
  })

  test.each([
    ['sendInitialEvents=true', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'],
    ['resourceVersionMatch=NotOlderThan&resourceVersion=1', 'forbidden for watch unless sendInitialEvents is provided'],
    ['sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1', 'Unsupported value: "Exact"'],
  ])('%s is Invalid (422), so that a client can do without', async (query, why) => {
    const { code, body } = await ask(one.api, `${maps}?watch=1&${query}`)
    expect([code, body.reason, body.details?.kind]).toEqual([422, 'Invalid', 'ListOptions'])
    expect(body.message).toContain(why)
  })

  test('what there is comes whole, also when it is much', async () => {
    const at = '/api/v1/namespaces/kube-public/configmaps'
    for (let i = 0; i < 330; i++) await post(one.api, at, labelled(`many-${String(i).padStart(3, '0')}`, 'many'))
    const watch = await openWatch(one.api, `${at}?watch=1&labelSelector=l%3Dmany`)
    expect(await watch.names(330)).toEqual(
      Array.from({ length: 330 }, (_, i) => `ADDED many-${String(i).padStart(3, '0')}`),
    )
    watch.close()
  })

  test('a selector that says nothing is refused (400), not told in the stream', async () => {
    for (const query of [
      'fieldSelector=spec.none%3Dx',
      'labelSelector=%3D',
      'timeoutSeconds=soon',
      'resourceVersion=x',
    ]) {
      expect([query, (await ask(one.api, `${maps}?watch=1&${query}`)).code]).toEqual([query, 400])
    }
  })

  test('from a revision that is forgotten: 410 as an event, and the stream ends', async () => {
    const api = await testApiserver()
    for (let i = 0; i < 5; i++) await post(api, maps, labelled(`old-${i}`, 'old'))
    api.store.compact(api.store.revision())
    const frames = await (await openWatch(api, `${maps}?watch=1&resourceVersion=2`)).all()
    expect(frames).toEqual([
      { type: 'ERROR', object: expect.objectContaining({ kind: 'Status', reason: 'Expired', code: 410 }) },
    ])
    expect(frames[0]?.object.message).toMatch(/^too old resource version: 2 \(\d+\)$/)
    api.stop()
  })

  test('as a table: the columns come once, a row per event, a bookmark too', async () => {
    const from = await revisionOf(one.api)
    const watch = await openWatch(
      one.api,
      `${maps}?watch=1&labelSelector=l%3Drows&resourceVersion=${from}&allowWatchBookmarks=true&timeoutSeconds=1`,
      { accept: table },
    )
    await post(one.api, maps, labelled('row', 'rows', { a: '1', b: '2' }))
    await remove(one.api, `${maps}/row`)
    const [added, deleted] = [await watch.next(), await watch.next()]
    expect([added.type, added.object.kind, added.object.columnDefinitions?.[0]?.name]).toEqual([
      'ADDED',
      'Table',
      'Name',
    ])
    expect(added.object.rows[0]?.cells.slice(0, 2)).toEqual(['row', 2])
    expect(added.object.rows[0]?.object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'row' } })
    expect([deleted.type, deleted.object.columnDefinitions]).toEqual(['DELETED', null])
    await post(one.api, maps, labelled('past', 'past'))
    const [bookmark] = await watch.all()
    expect(bookmark).toMatchObject({ type: 'BOOKMARK', object: { kind: 'Table' } })
  })

  test('as metadata alone', async () => {
    const watch = await openWatch(one.api, `${maps}?watch=1&labelSelector=l%3Dpartial`, {
      accept: asPartial('application/json'),
    })
    const { body } = await post(one.api, maps, labelled('partial', 'partial', { big: 'x'.repeat(1_000) }))
    expect((await watch.next()).object).toEqual({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: body.metadata,
    })
    watch.close()
  })
})

describe('watch on several servers over one store', () => {
  test('what was opened on one goes on at another at the same revision: nothing is missed, nothing comes twice', async () => {
    const store = memoryStore()
    const servers = [await testApiserver({}, store), await testApiserver({}, store), await testApiserver({}, store)]
    const at = (i: number) => servers[i % servers.length] as Api
    let from = await revisionOf(at(0))
    const written: string[] = []
    const seen: string[] = []
    for (let i = 0; i < 30; i++) {
      const { body } = await post(at(i + 1), maps, labelled(`hop-${i}`, 'hop'))
      const changed = await patch(at(i + 2), `${maps}/hop-${i}`, 'merge', { data: { a: '1' } })
      written.push(body.metadata.resourceVersion, changed.body.metadata.resourceVersion)
      const watch = await openWatch(at(i), `${maps}?watch=1&resourceVersion=${from}`)
      // One less than there is: the next server begins in between.
      for (let n = seen.length; n < written.length - 1; n++) {
        const { object } = await watch.next()
        seen.push(object.metadata.resourceVersion)
        from = object.metadata.resourceVersion
      }
      watch.close()
    }
    expect(seen).toEqual(written.slice(0, seen.length))
    expect(seen).toHaveLength(written.length - 1)
    for (const server of servers) server.stop()
  })

  test('from a revision that has not come to this server yet, it begins when that has come', async () => {
    const api = await testApiserver()
    const from = Number(await revisionOf(api)) + 2
    const watch = await openWatch(api, `${maps}?watch=1&resourceVersion=${from}`)
    const next = watch.names(1)
    for (const name of ['early-1', 'early-2', 'late']) await post(api, maps, labelled(name, 'x'))
    expect(await next).toEqual(['ADDED late'])
    watch.close()
    const never = await openWatch(api, `${maps}?watch=1&resourceVersion=999999999&timeoutSeconds=1`)
    expect(await never.all()).toEqual([])
    api.stop()
  })

  test('a continue token of one is good at another', async () => {
    const store = memoryStore()
    const [a, b] = [await testApiserver({}, store), await testApiserver({}, store)]
    for (let i = 0; i < 5; i++) await post(a, maps, labelled(`page-${i}`, 'page'))
    const first = await ask(a, `${maps}?labelSelector=l%3Dpage&limit=3`)
    await remove(a, `${maps}/page-4`)
    const rest = await ask(b, `${maps}?labelSelector=l%3Dpage&limit=3&continue=${first.body.metadata.continue}`)
    expect(rest.body.items.map(({ metadata }) => metadata.name)).toEqual(['page-3', 'page-4'])
    a.stop()
    b.stop()
  })
})
