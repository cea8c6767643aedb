// The arithmetic of a rolling update, step by step, as transcripts: `UPDATE=1` rewrites them, and the diff is what a reviewer
// reads. In each step the controller does what it may, then one more new pod becomes available.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import type { Deployment } from '../../src/api/kinds/deployment.ts'
import type { ReplicaSet } from '../../src/api/kinds/replicaset.ts'
import { fenceposts, newSetSize, proportional, shrinkOld } from '../../src/controllers/rollout.ts'

const golden = join(import.meta.dirname, '../golden/controllers')

function check(name: string, text: string): void {
  const file = join(golden, name)
  if (process.env['UPDATE'] === '1' || !existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  expect(text).toBe(readFileSync(file, 'utf8'))
}

const parse = (text: string) => (text.endsWith('%') ? text : Number(text))

function aDeployment(replicas: number, maxSurge: string, maxUnavailable: string): Deployment {
  const rollingUpdate = { maxSurge: parse(maxSurge), maxUnavailable: parse(maxUnavailable) }
  return { spec: { replicas, strategy: { type: 'RollingUpdate', rollingUpdate } }, status: {} } as unknown as Deployment
}

function aSet(name: string, replicas: number, available: number, max?: number): ReplicaSet {
  const annotations =
    max === undefined
      ? {}
      : { 'deployment.kubernetes.io/max-replicas': String(max), 'deployment.kubernetes.io/desired-replicas': '10' }
  const creationTimestamp = name === 'new' ? '2026-01-02T00:00:00Z' : '2026-01-01T00:00:00Z'
  return {
    metadata: { name, creationTimestamp, annotations },
    spec: { replicas },
    status: { replicas, availableReplicas: available },
  } as unknown as ReplicaSet
}

test('rolling updates, step by step', () => {
  const lines: string[] = []
  for (const replicas of [1, 2, 3, 5, 10]) {
    for (const [surge, unavailable] of [
      ['25%', '25%'],
      ['1', '0'],
      ['0', '1'],
      ['100%', '0'],
      ['0', '50%'],
      ['1%', '1%'],
    ] as const) {
      const deployment = aDeployment(replicas, surge, unavailable)
      const { maxSurge, maxUnavailable } = fenceposts(deployment)
      lines.push(
        `replicas ${replicas}, maxSurge ${surge} = ${maxSurge}, maxUnavailable ${unavailable} = ${maxUnavailable}`,
      )
      let [old, fresh, available] = [replicas, 0, 0]
      for (let step = 0; step < 200 && (old > 0 || available < replicas); step++) {
        fresh = newSetSize(deployment, fresh, old + fresh)
        const [resize] = shrinkOld(deployment, aSet('new', fresh, available), [aSet('old', old, old)])
        old = resize?.replicas ?? old
        expect(old + fresh).toBeLessThanOrEqual(replicas + maxSurge)
        expect(old + available).toBeGreaterThanOrEqual(replicas - maxUnavailable)
        lines.push(`  old ${old}, new ${fresh} (${available} available)`)
        if (available < fresh) available += 1
      }
      expect([old, fresh, available]).toEqual([0, replicas, replicas])
    }
  }
  check('rolling-update.txt', `${lines.join('\n')}\n`)
})

test('proportional scaling, case by case', () => {
  const lines: string[] = []
  for (const [old, fresh] of [
    [8, 5],
    [10, 0],
    [3, 3],
    [1, 12],
    [0, 10],
  ] as const) {
    for (const replicas of [0, 1, 5, 10, 20, 30]) {
      const sets = [aSet('old', old, old, 13)]
      const steps = proportional(aDeployment(replicas, '30%', '20%'), aSet('new', fresh, 0, 13), sets)
      const sizes = new Map(steps.map(({ set, replicas: size }) => [set.metadata.name, size]))
      const [oldNow, newNow] = [sizes.get('old') ?? old, sizes.get('new') ?? fresh]
      lines.push(`old ${old}, new ${fresh}; wanted ${replicas}: old ${oldNow}, new ${newNow}`)
    }
  }
  check('proportional-scaling.txt', `${lines.join('\n')}\n`)
})
