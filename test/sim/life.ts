// One run of one peer's process, from start to crash. What a dead one waits for never comes; a paused one gets it late,
// all at once and in order. Nothing of its code is told, as with a pulled plug: it simply never goes on.
import type { Agenda } from './agenda.ts'

export type Life = {
  readonly name: string
  readonly agenda: Agenda
  readonly alive: boolean
  readonly isPaused: boolean
  /** Resolves at death, for those outside who wait for something of this life. */
  readonly died: Promise<'died'>
  readonly end: () => void
  /** Stands still until then, or until `resume`. */
  readonly pause: (untilMs: number) => void
  readonly resume: () => void
  /** What comes due during a pause is kept for its end. */
  readonly keep: (act: () => void) => void
}

export function createLife(name: string, agenda: Agenda): Life {
  const { promise, resolve } = Promise.withResolvers<'died'>()
  let isAlive = true
  let pausedUntilMs = 0
  let kept: (() => void)[] = []

  function resume(): void {
    pausedUntilMs = 0
    const all = kept
    kept = []
    for (const act of all) agenda.after(0, act)
  }

  return {
    name,
    agenda,
    get alive() {
      return isAlive
    },
    get isPaused() {
      return agenda.nowMs() < pausedUntilMs
    },
    died: promise,
    end() {
      isAlive = false
      kept = []
      resolve('died')
    },
    pause(untilMs) {
      pausedUntilMs = untilMs
      agenda.at(untilMs, () => {
        if (agenda.nowMs() >= pausedUntilMs) resume()
      })
    },
    resume,
    keep: act => void kept.push(act),
  }
}

/** `act` after `ms`, if the life lasts that long, and not during a pause. */
export function later(life: Life, ms: number, act: () => void): void {
  const fire = () => {
    if (!life.alive) return
    if (life.isPaused) life.keep(fire)
    else act()
  }
  life.agenda.after(ms, fire)
}

export function delay(life: Life, ms: number): Promise<void> {
  return new Promise(resolve => later(life, ms, resolve))
}

/** For a promise that must not be kept to the dead. */
export function forever(): Promise<never> {
  return new Promise(() => {})
}
