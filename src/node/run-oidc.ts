// Reads the authority of the provider at which people log in. One that cannot be read ends the start.
import * as fs from 'node:fs/promises'
import type { OidcConfig } from '../apiserver/run-oidc.ts'
import { ConfigError } from './config.ts'
import type { OidcFiles } from './oidc.ts'

export async function readOidc({ caFile, ...config }: OidcFiles): Promise<OidcConfig> {
  if (caFile === undefined) return config
  try {
    return { ...config, caPem: await fs.readFile(caFile, 'utf8') }
  } catch (error) {
    throw new ConfigError(`the file of --oidc-ca-file ${caFile} cannot be read: ${String(error)}`)
  }
}
