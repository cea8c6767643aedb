// How many watches and streams go on at once, in all and for one user, so that nobody takes the server from the others.
// Requests that end by themselves take seats (flowcontrol/). Pure; the caller leaves when it is done.
import { ApiError } from '../api/error.ts'

export type RequestClass = 'watch' | 'session'

export const limits: Readonly<Record<RequestClass, { readonly all: number; readonly user: number }>> = {
  watch: { all: 3_000, user: 1_000 },
  session: { all: 500, user: 300 },
}

export class Limiter {
  readonly #counts = new Map<string, number>()

  /** Throws TooManyRequests (429). Disposing leaves; idempotent. */
  enter(kind: RequestClass, user: string): Disposable {
    const all = `${kind}/`
    const own = `${kind}/${user}`
    if (this.#count(all) >= limits[kind].all || this.#count(own) >= limits[kind].user) {
      throw new ApiError(
        'TooManyRequests',
        `too many requests of this kind (${kind}) at once, please try again later`,
        {
          retryAfterSeconds: 1,
        },
      )
    }
    this.#add(all, 1)
    this.#add(own, 1)
    let left = false
    return {
      [Symbol.dispose]: () => {
        if (left) return
        left = true
        this.#add(all, -1)
        this.#add(own, -1)
      },
    }
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  #add(key: string, by: number): void {
    const count = this.#count(key) + by
    if (count === 0) this.#counts.delete(key)
    else this.#counts.set(key, count)
  }
}
