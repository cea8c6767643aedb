// DenyServiceExternalIPs: an external address of a Service takes the traffic for that address from everybody in the cluster
// (CVE-2020-8554), so the right to write Services is not enough for it. Upstream's plugin refuses all, and is off; here
// those may who hold the right to create services/externalips in the namespace, as administrators of the cluster do.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#denyserviceexternalips
import { ApiError } from '../../api/error.ts'
import { type Service, service } from '../../api/kinds/service.ts'
import type { Authorizer } from '../run-authorize.ts'
import type { Hook } from './admission.ts'

const addressesOf = (object: unknown): readonly string[] => (object as Service | undefined)?.spec.externalIPs ?? []

export function externalIpsHook(authorizer: Authorizer): Hook {
  return {
    name: 'DenyServiceExternalIPs',
    handles: ({ kind, verb, subresource, object, old }) =>
      kind === service &&
      subresource === undefined &&
      (verb === 'CREATE' || verb === 'UPDATE') &&
      // To take some away, or leave them as they are, is no harm.
      addressesOf(object).some(address => !addressesOf(old).includes(address)),
    async validate({ identity, namespace = '', name }) {
      const about = { kind: 'resource', group: '', resource: 'services', subresource: 'externalips' } as const
      const { allowed } = await authorizer.decide(identity, { ...about, verb: 'create', namespace, name })
      if (allowed) return undefined
      const why = 'Use of external IPs is denied by admission control.'
      throw new ApiError('Forbidden', `services "${name}" is forbidden: ${why}`, { name, kind: 'services' })
    },
  }
}
