// RFC 3339 times, without reading any clock.

/** Milliseconds since the epoch. NaN for text that is no time. */
export function parseTimeMs(text: string): number {
  return Date.parse(text)
}

/** To the second, as metav1.Time is written: 2026-01-02T03:04:05Z. */
export function formatTime(ms: number): string {
  return new Date(Math.floor(ms / 1_000) * 1_000).toISOString().replace('.000Z', 'Z')
}

/** To the microsecond, as metav1.MicroTime is written. */
export function formatMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
