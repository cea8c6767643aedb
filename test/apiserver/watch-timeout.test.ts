import { expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { openPace } from '../../src/apiserver/run-pace.ts'
import { watchResponse } from '../../src/apiserver/run-watch-http.ts'
import { virtualWorld } from '../client/virtual-world.ts'
import { memoryStore } from './memory-store.ts'
import { request } from './setup.ts'

/** How long a watch goes on when nobody ends it, by what chance says. */
async function lasts(float: number, query: string): Promise<number> {
  const world = virtualWorld()
  const context = {
    world: { ...world, random: { ...world.random, float: () => float } },
    store: memoryStore(),
    pace: openPace(world.clock),
  }
  const asked = { kind: 'resource', verb: 'watch', group: '', version: 'v1', resource: 'configmaps' } as const
  const view = { answers: { as: 'Object', media: 'json' }, includeObject: 'None', nowMs: 0, pretty: false } as const
  const place = { [Symbol.dispose]() {} }
  const { signal } = new AbortController()
  const search = new URLSearchParams(query)
  const response = watchResponse(context, configMap, asked, search, view, request('/'), place, signal)
  if (response.kind !== 'stream') throw new Error(response.kind)
  const { body } = response
  let ended = false
  const drained = (async () => {
    for await (const _ of body);
    ended = true
  })()
  await world.until(() => ended, 2 * 3_600_000)
  await drained
  return world.clock.monotonicMs() / 1_000
}

test('a watch lasts as long as was asked for, else between half an hour and an hour', async () => {
  const after = async (float: number, query: string) => Math.floor((await lasts(float, query)) / 60)
  expect(await after(0, 'watch=1')).toBe(30)
  expect(await after(0.5, 'watch=1')).toBe(45)
  expect(await after(0.5, 'watch=1&timeoutSeconds=600')).toBe(10)
})
