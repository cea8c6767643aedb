// Puts on a slow disk: strace delays every fsync and fdatasync of all members of both systems by the same time. It also
// counts them, which shows two things: that the delay bites, and that what one client after the other was promised had
// been synced on a majority, one sync at least for each put.
import type { Cluster } from './cluster.ts'
import { type Context, loadCell, withClusters } from './context.ts'
import { type Cell, medianOf } from './measure.ts'

const keys = 100_000
const valueBytes = 256
/** Clocks and timers are not exact; a sync that was skipped would be a hundred times shorter. */
const toleratedPart = 0.95
const soloPuts = 30

export async function slowSuite(
  context: Context,
  delayMs: number,
): Promise<Readonly<Record<number, Cell | undefined>>> {
  return await withClusters(
    context,
    async clusters => {
      for (const cluster of clusters) await checkDurability(context, cluster, delayMs)
      const cells: Record<number, Cell | undefined> = {}
      for (const clients of [1, 16, 256]) {
        const name = `put, +${delayMs} ms per sync, ${clients}`
        const cell = await loadCell(context, clusters, name, clients, () => ({ kind: 'put', keys, valueBytes }))
        if (clients === 1 && cell !== undefined) checkBite(context, cell, delayMs)
        cells[clients] = cell
      }
      return cells
    },
    delayMs,
  )
}

async function checkDurability(context: Context, cluster: Cluster, delayMs: number): Promise<void> {
  const leader = await cluster.leader()
  const before = cluster.members.map(member => member.syncs())
  const operation = { kind: 'fill', keys: soloPuts, valueBytes } as const
  const { acknowledged, errorTexts } = await context.generator.drain({
    operation,
    clients: 1,
    ports: [leader.clientPort],
  })
  if (acknowledged === 0) throw new Error(`${cluster.name} took no put: ${errorTexts.join('; ')}`)
  const syncs = cluster.members.map((member, i) => member.syncs() - (before[i] ?? 0))
  const onMajority = syncs.toSorted((a, b) => b - a)[1] ?? 0
  const said = `${cluster.name}, +${delayMs} ms: ${acknowledged} puts one by one, syncs per member ${syncs.join(', ')}`
  if (onMajority >= acknowledged) context.print(`${said}: each was on two disks when it was acknowledged`)
  else context.fail(`${said}: acknowledged before it was on two disks`)
}

function checkBite(context: Context, cell: Cell, delayMs: number): void {
  for (const { system, samples } of cell.systems) {
    const p50Ms = medianOf(samples, 'p50Ms')
    if (p50Ms < delayMs * toleratedPart)
      context.fail(`${system}: the delay of ${delayMs} ms does not bite, p50 ${p50Ms} ms`)
  }
}
