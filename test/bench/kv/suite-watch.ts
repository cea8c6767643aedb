// One writer, one or a thousand watchers of its prefix: how late events are, how many arrive per second, and that every
// watcher gets every event once and in order.
import { sleep } from './clock.ts'
import type { Cluster } from './cluster.ts'
import { type Context, checkErrors, withClusters } from './context.ts'
import { type Cell, measureCell, type Sample, Watch, worstSelf } from './measure.ts'
import { rowsOf } from './report.ts'

const valueBytes = 256
const settleMs = 500

export async function watchSuite(context: Context): Promise<Readonly<Record<number, Cell>>> {
  return await withClusters(context, async clusters => {
    const cells: Record<number, Cell> = {}
    for (const watchers of [1, 1_000]) {
      const name = `watch, ${watchers} watcher${watchers === 1 ? '' : 's'}`
      const measure = (cluster: Cluster, repetition: number) => measureWatch(context, cluster, watchers, repetition)
      const cell = await measureCell(name, clusters, context.repetitions, measure, shown => {
        for (const row of rowsOf(shown)) context.print(row)
      })
      checkErrors(context, cell)
      cells[watchers] = cell
    }
    return cells
  })
}

async function measureWatch(context: Context, cluster: Cluster, watchers: number, repetition: number): Promise<Sample> {
  const { generator, warmupMs, measureMs } = context
  const leader = await cluster.leader()
  await worstSelf(cluster)
  const watch = new Watch(cluster, leader.index)
  const prefix = `/watch/${watchers}-${repetition}/`
  const port = leader.clientPort
  const load = { watchers, writers: 1, port, prefix, valueBytes, warmupMs, measureMs }
  const result = await generator.watch(load, watch)
  const { lost, duplicated, outOfOrder } = result
  const errors = lost + duplicated + outOfOrder
  const wrong = errors === 0 ? [] : [`lost ${lost}, duplicated ${duplicated}, out of order ${outOfOrder}`]
  await sleep(settleMs)
  return {
    ...result,
    ...(await watch.sample(result.deliveries)),
    perSecond: result.deliveriesPerSecond,
    errors: errors + result.errorTexts.length,
    errorTexts: [...result.errorTexts, ...wrong],
    generatorMicros: result.cpuMicros,
  }
}
