// What happens, one event per line: for people on a terminal, or as JSON lines for programs that collect them.
import type { Log, LogFields } from '../world/log.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export type LogOptions = {
  /** What is less important is left out. */
  readonly level: LogLevel
  readonly format: 'text' | 'json'
  /** Takes one line with its line end. Default: standard error. */
  readonly write?: (line: string) => void
  readonly nowMs?: () => number
}

export function realLog(options: LogOptions, fields: LogFields = {}): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line))
  const nowMs = options.nowMs ?? Date.now
  const least = logLevels.indexOf(options.level)
  const say =
    (level: LogLevel) =>
    (message: string, more: LogFields = {}) => {
      if (logLevels.indexOf(level) < least) return
      const all = { ...fields, ...more }
      const time = new Date(nowMs()).toISOString()
      write(
        options.format === 'json'
          ? `${JSON.stringify({ time, level, message, ...rename(all) })}\n`
          : human(time, level, message, all),
      )
    }
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    with: more => realLog(options, { ...fields, ...more }),
  }
}

/** A field must not take the place of what every line has. */
function rename(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key === 'time' || key === 'level' || key === 'message' ? `${key}_` : key,
      value,
    ]),
  )
}

function human(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const { component, ...rest } = fields
  const head = component === undefined ? '' : `${plain(String(component))}: `
  const tail = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${quote(String(value))}`)
    .join('')
  return `${time} ${level.toUpperCase().padEnd(5)} ${head}${plain(message)}${tail}\n`
}

function quote(value: string): string {
  return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}

/** Another peer's words must not forge a line or move the cursor. */
function plain(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
