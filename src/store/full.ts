// What a full disk says (world/disk.ts): nothing was harmed, and the same may be tried again.

export const isFullError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'FULL'

/** The store cannot begin on a full disk. Nothing is damaged. */
export class StoreFull extends Error {
  override readonly name = 'StoreFull'
  constructor(cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(
      `${what}: the store cannot start. Nothing is damaged and nothing that was acknowledged is lost. Free some room, then start again`,
      { cause },
    )
  }
}
