// The list of all kinds that the API serves. Adding a kind is one file beside these and one line here.

import type { Kind } from './kind.ts'
import { binding } from './kinds/binding.ts'
import { configMap } from './kinds/configmap.ts'
import { controllerRevision } from './kinds/controllerrevision.ts'
import { daemonSet } from './kinds/daemonset.ts'
import { deployment } from './kinds/deployment.ts'
import { endpoints } from './kinds/endpoints.ts'
import { endpointSlice } from './kinds/endpointslice.ts'
import { event } from './kinds/event.ts'
import { eviction } from './kinds/eviction.ts'
import { job } from './kinds/job.ts'
import { lease } from './kinds/lease.ts'
import { localSubjectAccessReview } from './kinds/localsubjectaccessreview.ts'
import { namespace } from './kinds/namespace.ts'
import { node } from './kinds/node.ts'
import { pod } from './kinds/pod.ts'
import { podTemplate } from './kinds/podtemplate.ts'
import { replicaSet } from './kinds/replicaset.ts'
import { scale } from './kinds/scale.ts'
import { secret } from './kinds/secret.ts'
import { selfSubjectAccessReview } from './kinds/selfsubjectaccessreview.ts'
import { selfSubjectReview } from './kinds/selfsubjectreview.ts'
import { selfSubjectRulesReview } from './kinds/selfsubjectrulesreview.ts'
import { service } from './kinds/service.ts'
import { serviceAccount } from './kinds/serviceaccount.ts'
import { subjectAccessReview } from './kinds/subjectaccessreview.ts'
import { tokenRequest } from './kinds/tokenrequest.ts'
import { tokenReview } from './kinds/tokenreview.ts'

export const kinds: readonly Kind[] = [
  namespace,
  node,
  pod,
  podTemplate,
  service,
  endpoints,
  endpointSlice,
  configMap,
  secret,
  serviceAccount,
  event,
  binding,
  lease,
  deployment,
  replicaSet,
  daemonSet,
  controllerRevision,
  job,
  scale,
  eviction,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  subjectAccessReview,
  localSubjectAccessReview,
  tokenReview,
  tokenRequest,
  selfSubjectReview,
]
