// What must not keep a peer from starting, on real processes.
import * as fs from 'node:fs'
import * as path from 'node:path'
import { expect, test } from 'vitest'
import { openAgents, patienceMs } from './agents.ts'

test(
  'a disk that cannot be measured is no reason not to start',
  async () => {
    await using agents = openAgents()
    const one = await agents.agent('one')
    await one.start('up')
    await one.stop()
    // In the place of the file that is written to measure it.
    fs.mkdirSync(path.join(one.dataDir, 'store', 'sync-probe'))
    await one.start('up')
    expect(one.said()).toMatch(/the disk was not measured/)
  },
  2 * patienceMs,
)
