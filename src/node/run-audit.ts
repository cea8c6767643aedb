// Opens the audit log that somebody asked for. A policy that cannot be read ends the start: a peer that writes less down
// than it was told is worse than one that says so.
import * as fs from 'node:fs/promises'
import { readYamlText } from '../api/reader.ts'
import { defaultPolicy, type Policy, PolicyError, parsePolicy } from '../apiserver/audit.ts'
import type { AuditConfig } from '../apiserver/run-audit.ts'
import { defaultAuditLogLimits, openAuditLog } from '../drivers/auditlog.ts'
import type { World } from '../world/world.ts'
import { type AuditFiles, ConfigError } from './config.ts'

export async function openAudit(world: Pick<World, 'clock'>, asked: AuditFiles): Promise<AuditConfig> {
  const policy = asked.policy === undefined ? defaultPolicy : await readPolicy(asked.policy)
  try {
    return { policy, log: await openAuditLog(world.clock, asked.log, defaultAuditLogLimits) }
  } catch (error) {
    throw new ConfigError(`the audit log ${asked.log} cannot be written: ${String(error)}`)
  }
}

async function readPolicy(file: string): Promise<Policy> {
  let text: string
  try {
    text = await fs.readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError(`the audit policy ${file} cannot be read: ${String(error)}`)
  }
  try {
    return parsePolicy(readYamlText(text).value)
  } catch (error) {
    if (error instanceof PolicyError) throw new ConfigError(`the audit policy ${file} is wrong: ${error.message}`)
    throw new ConfigError(`the audit policy ${file} is no YAML: ${String(error)}`)
  }
}
