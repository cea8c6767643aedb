// Names of signals, as images and pod specs write them.
import { constants } from 'node:os'

/** SIGTERM, TERM, 15 → 15. Undefined when there is no such signal. */
export function signalNumber(name: string | null | undefined): number | undefined {
  if (name === null || name === undefined || name === '') return undefined
  if (/^\d+$/.test(name)) return Number(name)
  const upper = name.toUpperCase()
  const full = upper.startsWith('SIG') ? upper : `SIG${upper}`
  const known = (constants.signals as Readonly<Record<string, number | undefined>>)[full]
  if (known !== undefined) return known
  // Real-time signals have no names in Node: SIGRTMIN+3 is what systemd images ask for.
  const [, base, sign = '+', offset = '0'] = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(full) ?? []
  if (base === undefined) return undefined
  return (base === 'MIN' ? 34 : 64) + (sign === '-' ? -1 : 1) * Number(offset)
}
