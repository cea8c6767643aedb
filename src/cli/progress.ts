// How far a long task is, on standard error: one line that is written over on a terminal, a line every few seconds elsewhere.
const everyMs = 5_000
const drawMs = 200

export type Progress = { bytes(count: number): void; end(): void }

/** `total` in bytes, where it is known. */
export function progress(what: string, total?: number): Progress {
  const isTerminal = process.stderr.isTTY
  const startedMs = performance.now()
  let drawnMs = startedMs
  let last = 0

  function line(): string {
    const seconds = (performance.now() - startedMs) / 1_000
    const rate = seconds > 0.5 ? `, ${inWords(last / seconds)}/s` : ''
    const share =
      total === undefined || total === 0 ? '' : ` of ${inWords(total)} (${Math.floor((last / total) * 100)} %)`
    return `${what}: ${inWords(last)}${share}${rate}`
  }

  return {
    bytes(count) {
      last = count
      const nowMs = performance.now()
      if (nowMs - drawnMs < (isTerminal ? drawMs : everyMs)) return
      drawnMs = nowMs
      process.stderr.write(isTerminal ? `\r${line()}\x1b[K` : `${line()}\n`)
    },
    end() {
      process.stderr.write(isTerminal ? `\r${line()}\x1b[K\n` : `${line()}\n`)
    },
  }
}

export function inWords(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} B`
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`
  return `${(bytes / 1_000_000_000).toFixed(1)} GB`
}
