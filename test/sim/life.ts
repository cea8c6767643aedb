// One run of one peer's process, from start to crash. What a dead one waits for never comes; a paused one gets it late.
// Nothing of its code is told, as with a pulled plug: it simply never goes on.
import type { Agenda } from './agenda.ts'

export type Life = {
  readonly name: string
  readonly agenda: Agenda
  alive: boolean
  pausedUntilMs: number
  /** Resolves at death, for those outside who wait for something of this life. */
  readonly died: Promise<'died'>
  readonly end: () => void
}

export function createLife(name: string, agenda: Agenda): Life {
  const { promise, resolve } = Promise.withResolvers<'died'>()
  const life: Life = {
    name,
    agenda,
    alive: true,
    pausedUntilMs: 0,
    died: promise,
    end() {
      life.alive = false
      resolve('died')
    },
  }
  return life
}

/** `act` after `ms`, if the life lasts that long, and not during a pause. */
export function later(life: Life, ms: number, act: () => void): void {
  const fire = () => {
    if (!life.alive) return
    if (life.agenda.nowMs() < life.pausedUntilMs) life.agenda.at(life.pausedUntilMs, fire)
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
