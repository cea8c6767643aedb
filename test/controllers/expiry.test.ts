// Tokens that are kept as Secrets go when they have expired, and other Secrets never.
import { expect, test } from 'vitest'
import type { Secret } from '../../src/api/kinds/secret.ts'
import { cache } from '../../src/client/cache.ts'
import type { Context } from '../../src/controllers/controller.ts'
import {
  bootstrapTokenType,
  joinTokenKeptMs,
  joinTokenType,
  tokenExpiryController,
} from '../../src/controllers/expiry.ts'

const nowMs = Date.UTC(2026, 0, 2)
const at = (ms: number) => new Date(ms).toISOString()

function secret(name: string, type: string, data: Readonly<Record<string, string>>, namespace = 'kube-system'): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, uid: name, resourceVersion: '1', creationTimestamp: at(0) },
    type,
    data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, btoa(text)])),
  }
}
const bootstrap = (name: string, expiration: string, namespace?: string) =>
  secret(name, bootstrapTokenType, { expiration }, namespace)
const join = (name: string, expiresMs: number) => secret(name, joinTokenType, { record: JSON.stringify({ expiresMs }) })

function plan(...all: readonly Secret[]) {
  const secrets = cache<Secret>()
  secrets.reset(all, 1)
  const { changes, againAtMs } = tokenExpiryController.plan('*', { secrets }, { nowMs } as Context)
  return { gone: changes.map(change => (change.kind === 'delete' ? change.key.name : '?')).toSorted(), againAtMs }
}

test('tokens go when they have expired, the next one says when to look again', () => {
  const found = plan(
    bootstrap('over', at(nowMs)),
    bootstrap('soon', at(nowMs + 5_000)),
    bootstrap('elsewhere', at(nowMs - 1), 'default'),
    join('join-over', nowMs - joinTokenKeptMs),
    join('join-kept', nowMs - 1),
  )
  expect(found).toEqual({ gone: ['join-over', 'over'], againAtMs: nowMs + 5_000 })
})

test('what never expires, or nobody knows when, stays and wakes nobody', () => {
  const found = plan(
    bootstrap('never', ''),
    bootstrap('odd', 'tomorrow'),
    secret('none', bootstrapTokenType, {}),
    secret('other', 'Opaque', { expiration: at(0) }),
  )
  expect(found).toEqual({ gone: [], againAtMs: undefined })
})
