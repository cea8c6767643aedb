// Where the record of who did what goes. The driver (drivers/auditlog.ts) writes a file and rotates it.

export interface AuditLog {
  /**
   * One event as JSON without a line break. Resolves once the file has it, in the order of the calls; a crash of the
   * machine may still lose the last ones. Rejects when it could not be written: the request goes on all the same.
   */
  append(line: string): Promise<void>
}
