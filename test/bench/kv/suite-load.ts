// Puts, linearizable reads and creations by closed loops of clients against the leader.
import { type Context, loadCell, withClusters } from './context.ts'
import type { Cell } from './measure.ts'
import { putOnce } from './single.ts'

export type Cells = Readonly<Record<number, Cell | undefined>>

const valueBytes = 256
const keys = 100_000
const objectBytes = 1_536

/** 8-byte keys out of 100,000, values of 256 bytes. */
export async function putSuite(context: Context): Promise<Cells> {
  return await withClusters(context, async clusters => {
    const cells: Record<number, Cell | undefined> = {}
    for (const clients of [1, 64, 256]) {
      const name = `put, ${clients} client${clients === 1 ? '' : 's'}`
      cells[clients] = await loadCell(context, clusters, name, clients, () => ({ kind: 'put', keys, valueBytes }))
    }
    return cells
  })
}

/**
 * Linearizable reads of one key. All members are restarted first: etcd 3.4 copies its write buffer for each read until
 * it is restarted, a defect that later versions do not have and that no comparison may live on.
 */
export async function readSuite(context: Context): Promise<Cells> {
  return await withClusters(context, async clusters => {
    for (const cluster of clusters) {
      await putOnce((await cluster.leader()).clientPort, valueBytes)
      await cluster.caughtUp()
      await cluster.restart()
    }
    context.print('members of every system restarted before the reads; nothing is written during them')
    const cells: Record<number, Cell | undefined> = {}
    for (const clients of [64, 256]) {
      cells[clients] = await loadCell(context, clusters, `linearizable read, ${clients} clients`, clients, () => ({
        kind: 'range',
        serializable: false,
        valueBytes,
      }))
    }
    return cells
  })
}

/** What an API server does to create an object of 1.5 kB, each with a key of its own, on fresh clusters. */
export async function createSuite(context: Context): Promise<Cells> {
  const cells: Record<number, Cell | undefined> = {}
  for (const clients of [64, 256]) {
    cells[clients] = await withClusters(context, clusters =>
      loadCell(context, clusters, `create txn 1.5 kB, ${clients} clients`, clients, repetition => ({
        kind: 'create',
        run: `${clients}-${repetition}`,
        valueBytes: objectBytes,
      })),
    )
  }
  return cells
}
