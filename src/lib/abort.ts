// Listening to an AbortSignal without leaking the listener: the only place that adds one.

/** For how long somebody waits. A request makes its signal when it is asked for it: most are answered before. */
export type Until = { readonly signal: AbortSignal }

/** Calls `listener` once when `signal` aborts (at once if it has already); disposing takes the listener off. */
export function onAbort(signal: AbortSignal, listener: () => void): Disposable {
  if (signal.aborted) {
    listener()
    return { [Symbol.dispose]() {} }
  }
  signal.addEventListener('abort', listener, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', listener) }
}

/** Resolves when the signal aborts; never rejects. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    onAbort(signal, () => resolve())
  })
}
