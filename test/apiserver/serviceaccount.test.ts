import { expect, test } from 'vitest'
import { pod } from '../../src/api/kinds/pod.ts'
import { serviceAccount } from '../../src/api/kinds/serviceaccount.ts'
import { tokenPath } from '../../src/apiserver/admission/serviceaccount.ts'
import { testApiserver } from './setup.ts'

const draft = (name: string, spec = {}) => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'a', image: 'x' }], initContainers: [{ name: 'i', image: 'x' }], ...spec },
})

test('each container of a pod finds its token where clients look for it', async () => {
  const { client, signal, stop } = await testApiserver()
  const { spec } = await client.create(pod, draft('p'), signal)
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    expect(container.volumeMounts?.map(({ mountPath, readOnly }) => [mountPath, readOnly])).toEqual([[tokenPath, true]])
  }
  expect(spec.volumes?.[0]?.projected?.sources?.length).toBe(3)
  stop()
})

test('a pod, or its account, may refuse the token', async () => {
  const { client, signal, stop } = await testApiserver()
  const without = await client.create(pod, draft('p', { automountServiceAccountToken: false }), signal)
  expect(without.spec.volumes ?? []).toEqual([])
  const account = { metadata: { name: 'me', namespace: 'default' }, automountServiceAccountToken: false }
  await client.create(serviceAccount, { ...account, imagePullSecrets: [{ name: 's' }] }, signal)
  const made = await client.create(pod, draft('q', { serviceAccountName: 'me' }), signal)
  expect([made.spec.volumes ?? [], made.spec.imagePullSecrets]).toEqual([[], [{ name: 's' }]])
  stop()
})

test('a pod of an account that is not there is refused', async () => {
  const { client, signal, stop } = await testApiserver()
  const made = client.create(pod, draft('p', { serviceAccountName: 'nobody' }), signal)
  await expect(made).rejects.toMatchObject({
    reason: 'Forbidden',
    message: expect.stringContaining('serviceaccount "nobody" not found'),
  })
  stop()
})
