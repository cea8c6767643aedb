// The npm client etcd3 (on @grpc/grpc-js, another HTTP/2 than grpc-go's) against etcd and against three of our peers: what
// the same program sees must be the same.
import { expect, test } from 'vitest'
import { program } from './etcd3-program.ts'
import { describeWithEtcd, startEtcd, startOurs } from './systems.ts'

const timeoutMs = 180_000

describeWithEtcd('etcd3', () => {
  test('sees the same of etcd and of ours', { timeout: timeoutMs }, async () => {
    await using etcd = await startEtcd()
    await using ours = await startOurs()
    const [theirs, own] = await Promise.all([program(etcd), program(ours)])
    expect(own).toEqual(theirs)
    expect(own.at(-1)).toBe('the end')
  })
})
