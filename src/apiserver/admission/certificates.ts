// What is written into a CertificateSigningRequest for whoever makes or changes one: who asks, and when conditions came.
// Upstream's strategy of the kind does that (pkg/registry/certificates/certificates/strategy.go).
import { resourceOf } from '../../api/kind.ts'
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from '../../api/kinds/certificatesigningrequest.ts'
import { rfc3339 } from '../../lib/duration.ts'
import type { Identity } from '../../world/http.ts'
import type { Change, Plugin } from './admission.ts'

export const isRequest = ({ kind }: Change): boolean =>
  resourceOf(kind) === 'certificatesigningrequests.certificates.k8s.io'

export const certificateRequester: Plugin = {
  name: 'CertificateRequester',
  handles: change => isRequest(change) && (change.verb === 'CREATE' || change.verb === 'UPDATE'),
  mutate: ({ object, old, identity, stamp }) => {
    const request = object as CertificateSigningRequest
    if (old === undefined) return asked(request, identity)
    return dated(request, old as CertificateSigningRequest, rfc3339(stamp.nowMs))
  },
}

/** Nobody asks in another's name. */
function asked(object: CertificateSigningRequest, { user, uid, groups, extra }: Identity): CertificateSigningRequest {
  const { username: _, uid: __, groups: ___, extra: ____, ...spec } = object.spec
  return {
    ...object,
    spec: {
      ...spec,
      username: user,
      ...(uid !== undefined && uid !== '' && { uid }),
      ...(groups.length > 0 && { groups }),
      ...(extra && Object.keys(extra).length > 0 && { extra }),
    },
  }
}

function dated(object: CertificateSigningRequest, old: CertificateSigningRequest, now: string) {
  const { conditions } = object.status
  if (!conditions) return object
  const since = ({ type, status }: CertificateSigningRequestCondition) =>
    old.status.conditions?.find(each => each.type === type && each.status === status)?.lastTransitionTime
  return {
    ...object,
    status: {
      ...object.status,
      conditions: conditions.map(each => ({
        ...each,
        lastUpdateTime: each.lastUpdateTime ?? now,
        lastTransitionTime: each.lastTransitionTime ?? since(each) ?? now,
      })),
    },
  }
}
