// People who log in at an OpenID Connect provider, as the flags of `up` and `join` say it: upstream's names, for each peer.
import { checkOidc, type OidcAlgorithm, type OidcConfig } from '../apiserver/run-oidc.ts'
import { ConfigError } from './config.ts'

export type OidcFlags = {
  oidcIssuerUrl?: string
  oidcClientId?: string
  oidcUsernameClaim?: string
  oidcUsernamePrefix?: string
  oidcGroupsClaim?: string
  oidcGroupsPrefix?: string
  oidcRequiredClaim?: string[]
  oidcCaFile?: string
  oidcSigningAlgs?: string
}

export type OidcFiles = Omit<OidcConfig, 'caPem'> & {
  /** PEM of those who may vouch for the provider; undefined: whom the system trusts. */
  readonly caFile: string | undefined
}

/** Undefined when nobody logs in there. Throws ConfigError for what can never work. */
export function oidcOf(flags: OidcFlags): OidcFiles | undefined {
  const { oidcIssuerUrl: issuerUrl, oidcClientId: clientId } = flags
  const given = Object.entries(flags).some(([name, value]) => name.startsWith('oidc') && value !== undefined)
  if (!given) return undefined
  if (issuerUrl === undefined || clientId === undefined) {
    throw new ConfigError('people log in with --oidc-issuer-url <url> and --oidc-client-id <id> together')
  }
  const config: OidcFiles = {
    issuerUrl,
    clientId,
    ...(flags.oidcUsernameClaim !== undefined && { usernameClaim: flags.oidcUsernameClaim }),
    ...(flags.oidcUsernamePrefix !== undefined && { usernamePrefix: flags.oidcUsernamePrefix }),
    ...(flags.oidcGroupsClaim !== undefined && { groupsClaim: flags.oidcGroupsClaim }),
    ...(flags.oidcGroupsPrefix !== undefined && { groupsPrefix: flags.oidcGroupsPrefix }),
    ...(flags.oidcRequiredClaim !== undefined && { requiredClaims: claimsOf(flags.oidcRequiredClaim) }),
    ...(flags.oidcSigningAlgs !== undefined && {
      signingAlgorithms: flags.oidcSigningAlgs.split(',') as readonly OidcAlgorithm[],
    }),
    caFile: flags.oidcCaFile,
  }
  try {
    checkOidc(config)
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error))
  }
  return config
}

function claimsOf(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map(pair => {
      const at = pair.indexOf('=')
      if (at < 1) throw new ConfigError(`--oidc-required-claim ${pair}: say claim=value`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}
