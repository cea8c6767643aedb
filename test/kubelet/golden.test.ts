// What a pod and its containers lead to: the steps that follow and the status that is told. Cases stand in
// test/golden/kubelet as <name>.input.yaml and .output.yaml; UPDATE=1 writes the outputs anew.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { historyOf } from '../../src/kubelet/history.ts'
import { plan, type Step } from '../../src/kubelet/plan.ts'
import { verdictsOf } from '../../src/kubelet/probes.ts'
import { statusOf } from '../../src/kubelet/status.ts'
import { rfc3339 } from '../../src/lib/duration.ts'
import { nowMs, type ObservedText, observedOf, type PodText, podOf } from './cases.ts'

type Input = {
  readonly pod: PodText | null
  readonly observed?: ObservedText
  readonly refused?: { readonly reason: string; readonly message: string }
  /** By container, what its probes say: 'liveness failed', 'readiness holds'. */
  readonly probes?: Readonly<Record<string, readonly string[]>>
  readonly waiting?: Readonly<Record<string, { readonly reason: string; readonly message: string }>>
  readonly messages?: Readonly<Record<string, string>>
}

function run(input: Input): unknown {
  const pod = podOf(input.pod ?? { spec: { containers: [{ name: 'main', image: 'app' }] } })
  const observed = observedOf(pod, input.observed)
  const says = new Set(
    Object.entries(input.probes ?? {}).flatMap(([name, words]) =>
      words.map(word => `${historyOf(observed, name).newest?.id} ${word}`),
    ),
  )
  const verdicts = verdictsOf(pod, observed, (id, kind) => {
    const failed = says.has(`${id} ${kind} failed`)
    const holds = says.has(`${id} ${kind} holds`)
    return failed || holds ? { holds, failed } : undefined
  })
  const planned = plan(input.pod === null ? undefined : pod, observed, { ...verdicts, refused: input.refused }, nowMs)
  const status = statusOf(pod, observed, {
    nodeIp: '192.168.1.10',
    ...verdicts,
    waiting: new Map(Object.entries(input.waiting ?? {})),
    messages: new Map(Object.entries(input.messages ?? {})),
    ended: planned.ended,
    nowMs,
  })
  const { againAtMs, ended } = planned
  return {
    steps: planned.steps.map(described),
    ...(againAtMs !== undefined && { again: rfc3339(againAtMs) }),
    ...(ended && { ended }),
    ...(input.pod !== null && {
      status: {
        ...status,
        conditions: status.conditions?.map(({ type, status: holds, reason = '', message = '' }) =>
          [type, holds, reason, message].filter(word => word !== '').join(' '),
        ),
      },
    }),
  }
}

function described(step: Step): string {
  switch (step.kind) {
    case 'start': {
      const waited = step.backoffMs === undefined ? '' : ` after ${step.backoffMs} ms`
      return `start ${step.type} ${step.container.name} attempt ${step.attempt}${waited} in ${step.sandboxId}`
    }
    case 'stop': {
      const hook = step.preStop === undefined ? '' : ' with its hook'
      return `stop ${step.id} within ${step.graceMs} ms${hook}: ${step.why}`
    }
    case 'remove':
    case 'removeSandbox':
      return `${step.kind} ${step.id}`
    case 'createSandbox':
      return `createSandbox attempt ${step.attempt}`
    case 'forget':
      return 'forget'
  }
}

const folder = new URL('../golden/kubelet/', import.meta.url)
for (const file of readdirSync(folder).filter(name => name.endsWith('.input.yaml'))) {
  const name = file.slice(0, -'.input.yaml'.length)
  test(name.replaceAll('-', ' '), () => {
    const input = parse(readFileSync(new URL(file, folder), 'utf8')) as Input
    const text = stringify(JSON.parse(JSON.stringify(run(input))), { lineWidth: 0 })
    const output = new URL(`${name}.output.yaml`, folder)
    if (process.env['UPDATE'] === '1') writeFileSync(output, text)
    expect(text).toBe(readFileSync(output, 'utf8'))
  })
}
