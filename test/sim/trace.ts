// The digest of everything that happened: two runs of one seed must agree on it. Also keeps the newest lines for people.
export type Trace = {
  /** `line` is made only where it is kept or hashed; it must not contain anything that differs between runs. */
  readonly note: (line: string) => void
  readonly digest: () => string
  readonly newest: () => readonly string[]
}

const keptCountMax = 400

/** FNV-1a in two lanes: cheap, and good enough to tell runs apart. */
export function createTrace(nowMs: () => number, print?: (line: string) => void): Trace {
  let a = 0x811c9dc5
  let b = 0x01000193
  let count = 0
  const kept: string[] = []
  return {
    note(line) {
      const stamped = `${nowMs().toFixed(1)} ${line}`
      for (let i = 0; i < stamped.length; i++) {
        const code = stamped.charCodeAt(i)
        a = Math.imul(a ^ code, 0x01000193) >>> 0
        b = Math.imul((b + code) ^ (b >>> 15), 0x85ebca6b) >>> 0
      }
      count++
      kept.push(stamped)
      if (kept.length > 2 * keptCountMax) kept.splice(0, keptCountMax)
      print?.(stamped)
    },
    digest: () => `${count}-${a.toString(16).padStart(8, '0')}${b.toString(16).padStart(8, '0')}`,
    newest: () => kept.slice(-keptCountMax),
  }
}
