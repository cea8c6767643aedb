// The plan folded over a tiny model of a runtime: containers that end when they like, sandboxes that die, steps that fail or
// are cut off, an agent that is killed anywhere. Whatever happens, the wanted state is reached once things calm down, and
// at no moment do two containers of one name run.
import { expect, test } from 'vitest'
import type { Pod } from '../../src/api/kinds/pod.ts'
import { backoffAnnotation, sandboxAnnotation } from '../../src/kubelet/history.ts'
import { plan, type Step } from '../../src/kubelet/plan.ts'
import { verdictsOf } from '../../src/kubelet/probes.ts'
import { statusOf } from '../../src/kubelet/status.ts'
import { rfc3339 } from '../../src/lib/duration.ts'
import { prng } from '../../src/lib/prng.ts'
import type { Observed, ObservedContainer } from '../../src/world/runtime.ts'
import { podOf, nowMs as startMs, uid } from './cases.ts'

type Model = { sandbox: Observed['sandbox']; containers: ObservedContainer[] }

function world(seed: number) {
  const random = prng(seed)
  const chance = (share: number) => random.float() < share
  const names = (count: number, of: string) => Array.from({ length: count }, (_, i) => `${of}${i}`)
  const restartPolicy = (['Always', 'OnFailure', 'Never'] as const)[Math.floor(random.float() * 3)] ?? 'Always'
  const inits = names(Math.floor(random.float() * 3), 'init').map(name => ({
    ...{ name, image: 'app' },
    ...(chance(0.4) && { restartPolicy: 'Always' }),
  }))
  const apps = names(1 + Math.floor(random.float() * 2), 'app').map(name => ({ name, image: 'app' }))
  let pod: Pod | undefined = podOf({ spec: { restartPolicy, initContainers: inits, containers: apps } })
  const model: Model = { sandbox: undefined, containers: [] }
  let nowMs = startMs
  let forgotten = false
  let calm = false
  let sandboxes = 0

  const observed = (): Observed | undefined =>
    model.sandbox === undefined && model.containers.length === 0
      ? undefined
      : {
          ...{ uid, namespace: 'default', name: 'web', containers: [...model.containers] },
          ...(model.sandbox && { sandbox: model.sandbox }),
        }

  function end(id: string, exitCode: number): void {
    model.containers = model.containers.map(one => {
      if (one.id !== id || one.state.kind !== 'running') return one
      const { startedMs } = one.state
      return { ...one, state: { kind: 'exited', startedMs, finishedMs: nowMs, exitCode, oomKilled: false } }
    })
  }

  function carryOut(step: Step): void {
    // A step that fails, or is cut off before it did anything.
    if (!calm && chance(0.15)) return
    switch (step.kind) {
      case 'createSandbox':
        expect(model.sandbox, 'one sandbox at a time').toBeUndefined()
        sandboxes += 1
        model.sandbox = { id: `s${sandboxes}`, attempt: step.attempt, running: true, createdMs: nowMs, annotations: {} }
        return
      case 'removeSandbox':
        model.sandbox = undefined
        return
      case 'start': {
        const { name } = step.container
        const id = `${name}-${step.attempt}`
        if (model.sandbox?.id !== step.sandboxId) return
        const cut = !calm && chance(0.1)
        expect(model.containers.map(one => one.id)).not.toContain(id)
        const statusId = `test://${id}`
        model.containers.push({
          ...{ id, statusId, name, kind: step.type, attempt: step.attempt, specHash: step.specHash },
          ...{ image: 'app', imageId: 'i', createdMs: nowMs },
          annotations: {
            [sandboxAnnotation]: step.sandboxId,
            ...(step.backoffMs !== undefined && { [backoffAnnotation]: String(step.backoffMs) }),
          },
          state: cut ? { kind: 'created' } : { kind: 'running', startedMs: nowMs, pid: 1 },
        })
        return
      }
      case 'stop':
        end(step.id, chance(0.5) ? 0 : 143)
        return
      case 'remove':
        model.containers = model.containers.filter(one => one.id !== step.id)
        return
      case 'forget':
        expect(observed(), 'forgotten only when nothing is left').toBeUndefined()
        forgotten = true
        pod = undefined
    }
  }

  /** One turn of the worker; the status may not get through. */
  function turn(): readonly Step[] {
    const verdicts = pod === undefined ? nothing : verdictsOf(pod, observed(), () => undefined)
    const planned = plan(pod, observed(), { ...verdicts, refused: undefined }, nowMs)
    if (pod !== undefined && (calm || chance(0.7))) {
      const quiet = { nodeIp: '1.2.3.4', waiting: new Map(), messages: new Map(), ended: planned.ended, nowMs }
      pod = { ...pod, status: statusOf(pod, observed(), { ...quiet, ...verdicts }) }
    }
    const doable = calm ? planned.steps : planned.steps.filter(() => chance(0.8))
    for (const step of doable) carryOut(step)
    for (const { name } of [...inits, ...apps]) {
      const live = model.containers.filter(one => one.name === name && one.state.kind === 'running')
      expect(live.length, `${name} runs once`).toBeLessThanOrEqual(1)
    }
    nowMs += Math.floor(random.float() * 20_000)
    if (calm && planned.againAtMs !== undefined) nowMs = Math.max(nowMs, planned.againAtMs)
    return planned.steps
  }

  return {
    turn,
    trouble() {
      if (chance(0.05) && model.sandbox) model.sandbox = { ...model.sandbox, running: false }
      if (chance(0.02)) model.sandbox = undefined
      for (const one of model.containers) if (chance(0.1)) end(one.id, chance(0.5) ? 0 : 1)
      // A start that was cut off comes through after all.
      const late = model.containers.find(one => one.state.kind === 'created')
      const alone = !model.containers.some(one => one.name === late?.name && one.state.kind === 'running')
      if (late && alone && chance(0.2)) {
        const index = model.containers.indexOf(late)
        model.containers[index] = { ...late, state: { kind: 'running', startedMs: nowMs, pid: 1 } }
      }
    },
    delete() {
      if (pod === undefined) return
      const metadata = { ...pod.metadata, deletionTimestamp: rfc3339(nowMs + 30_000), deletionGracePeriodSeconds: 30 }
      pod = { ...pod, metadata }
    },
    removeByForce() {
      pod = undefined
    },
    calmDown() {
      calm = true
    },
    /** Plain init containers end by themselves when nothing troubles them. */
    finishInits() {
      for (const one of model.containers) {
        const init = inits.find(({ name }) => name === one.name)
        if (init !== undefined && !('restartPolicy' in init)) end(one.id, 0)
      }
    },
    settled: () => {
      if (pod === undefined) return forgotten || observed() === undefined
      const { phase } = pod.status
      if (phase === 'Succeeded' || phase === 'Failed') {
        return model.sandbox?.running !== true && !model.containers.some(one => one.state.kind === 'running')
      }
      const sidecars = inits.filter(one => 'restartPolicy' in one)
      const runs = (name: string) => model.containers.some(one => one.name === name && one.state.kind === 'running')
      const done = (name: string) => {
        const last = model.containers.filter(one => one.name === name).toSorted((a, b) => b.attempt - a.attempt)[0]
        return restartPolicy !== 'Always' && last?.state.kind === 'exited'
      }
      return (
        phase === 'Running' &&
        sidecars.every(one => runs(one.name)) &&
        apps.every(one => runs(one.name) || done(one.name))
      )
    },
    gone: () => forgotten && observed() === undefined,
    describe: () => JSON.stringify({ restartPolicy, pod: pod?.status, model }),
  }
}

const nothing = { ready: new Set<string>(), started: new Set<string>(), unhealthy: new Set<string>() }

test('through any trouble the plan comes to what is wanted, and never runs a container twice', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const one = world(seed)
    for (let i = 0; i < 60; i++) {
      one.trouble()
      one.turn()
    }
    one.calmDown()
    let steps: readonly Step[] = []
    for (let i = 0; i < 40; i++) {
      steps = one.turn()
      one.finishInits()
    }
    expect(one.settled(), `seed ${seed}: ${one.describe()}`).toBe(true)
    expect(steps, `seed ${seed}: nothing more to do`).toEqual([])
  }
})

test('a deleted pod, or one whose object is gone, ends with nothing left, through any trouble', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const one = world(seed)
    for (let i = 0; i < 5 + (seed % 30); i++) {
      one.trouble()
      one.turn()
    }
    if (seed % 3 === 0) one.removeByForce()
    else one.delete()
    for (let i = 0; i < 10; i++) {
      one.trouble()
      one.turn()
    }
    one.calmDown()
    for (let i = 0; i < 20 && !one.gone(); i++) one.turn()
    expect(one.gone(), `seed ${seed}: ${one.describe()}`).toBe(true)
  }
})
