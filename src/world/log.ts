// Where a component says what happens to it: one event per line, fields as data.

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A log whose lines all carry `fields` too, for example { component: 'kubelet' }. */
  with(fields: LogFields): Log
}
