// When calls run out of time. Clients keep their own deadlines; here it only frees what they have given up, so a coarse
// wheel will do, and a timer runs only while something waits.

const slotMs = 50

export type Expiring = { readonly isOpen: boolean; expire(): void }

export class Deadlines {
  readonly #slots = new Map<number, Expiring[]>()
  #timer: NodeJS.Timeout | undefined

  add(call: Expiring, timeoutMs: number): void {
    const slot = Math.floor((performance.now() + timeoutMs) / slotMs) + 1
    const calls = this.#slots.get(slot)
    if (calls === undefined) this.#slots.set(slot, [call])
    else calls.push(call)
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#turn(), slotMs)
    this.#timer.unref()
  }

  #turn(): void {
    const now = Math.floor(performance.now() / slotMs)
    for (const [slot, calls] of this.#slots) {
      // Most calls of a slot that is still to come were answered long ago: they must not be kept until then.
      if (slot > now) {
        const open = calls.filter(call => call.isOpen)
        if (open.length === 0) this.#slots.delete(slot)
        else if (open.length < calls.length) this.#slots.set(slot, open)
        continue
      }
      this.#slots.delete(slot)
      for (const call of calls) if (call.isOpen) call.expire()
    }
    if (this.#slots.size === 0) this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
