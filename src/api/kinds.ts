// The list of all kinds that the API serves. Adding a kind is one file beside these and one line here.

import type { Kind } from './kind.ts'
import { apiService } from './kinds/apiservice.ts'
import { binding } from './kinds/binding.ts'
import { certificateSigningRequest } from './kinds/certificatesigningrequest.ts'
import { clusterRole } from './kinds/clusterrole.ts'
import { clusterRoleBinding } from './kinds/clusterrolebinding.ts'
import { componentStatus } from './kinds/componentstatus.ts'
import { configMap } from './kinds/configmap.ts'
import { controllerRevision } from './kinds/controllerrevision.ts'
import { cronJob } from './kinds/cronjob.ts'
import { csiDriver } from './kinds/csidriver.ts'
import { csiNode } from './kinds/csinode.ts'
import { csiStorageCapacity } from './kinds/csistoragecapacity.ts'
import { customResourceDefinition } from './kinds/customresourcedefinition.ts'
import { daemonSet } from './kinds/daemonset.ts'
import { deployment } from './kinds/deployment.ts'
import { endpoints } from './kinds/endpoints.ts'
import { endpointSlice } from './kinds/endpointslice.ts'
import { event } from './kinds/event.ts'
import { eventsEvent } from './kinds/eventsevent.ts'
import { eviction } from './kinds/eviction.ts'
import { flowSchema } from './kinds/flowschema.ts'
import { horizontalPodAutoscaler } from './kinds/horizontalpodautoscaler.ts'
import { ingress } from './kinds/ingress.ts'
import { ingressClass } from './kinds/ingressclass.ts'
import { ipAddress } from './kinds/ipaddress.ts'
import { job } from './kinds/job.ts'
import { lease } from './kinds/lease.ts'
import { limitRange } from './kinds/limitrange.ts'
import { localSubjectAccessReview } from './kinds/localsubjectaccessreview.ts'
import { mutatingWebhookConfiguration } from './kinds/mutatingwebhookconfiguration.ts'
import { namespace } from './kinds/namespace.ts'
import { networkPolicy } from './kinds/networkpolicy.ts'
import { node } from './kinds/node.ts'
import { oldHorizontalPodAutoscaler } from './kinds/oldhorizontalpodautoscaler.ts'
import { persistentVolume } from './kinds/persistentvolume.ts'
import { persistentVolumeClaim } from './kinds/persistentvolumeclaim.ts'
import { pod } from './kinds/pod.ts'
import { podDisruptionBudget } from './kinds/poddisruptionbudget.ts'
import { podTemplate } from './kinds/podtemplate.ts'
import { priorityClass } from './kinds/priorityclass.ts'
import { priorityLevelConfiguration } from './kinds/prioritylevelconfiguration.ts'
import { replicaSet } from './kinds/replicaset.ts'
import { replicationController } from './kinds/replicationcontroller.ts'
import { resourceQuota } from './kinds/resourcequota.ts'
import { role } from './kinds/role.ts'
import { roleBinding } from './kinds/rolebinding.ts'
import { runtimeClass } from './kinds/runtimeclass.ts'
import { scale } from './kinds/scale.ts'
import { secret } from './kinds/secret.ts'
import { selfSubjectAccessReview } from './kinds/selfsubjectaccessreview.ts'
import { selfSubjectReview } from './kinds/selfsubjectreview.ts'
import { selfSubjectRulesReview } from './kinds/selfsubjectrulesreview.ts'
import { service } from './kinds/service.ts'
import { serviceAccount } from './kinds/serviceaccount.ts'
import { serviceCidr } from './kinds/servicecidr.ts'
import { statefulSet } from './kinds/statefulset.ts'
import { storageClass } from './kinds/storageclass.ts'
import { subjectAccessReview } from './kinds/subjectaccessreview.ts'
import { tokenRequest } from './kinds/tokenrequest.ts'
import { tokenReview } from './kinds/tokenreview.ts'
import { validatingAdmissionPolicy } from './kinds/validatingadmissionpolicy.ts'
import { validatingAdmissionPolicyBinding } from './kinds/validatingadmissionpolicybinding.ts'
import { validatingWebhookConfiguration } from './kinds/validatingwebhookconfiguration.ts'
import { volumeAttachment } from './kinds/volumeattachment.ts'
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
  eventsEvent,
  replicationController,
  persistentVolume,
  persistentVolumeClaim,
  resourceQuota,
  limitRange,
  componentStatus,
  binding,
  lease,
  deployment,
  replicaSet,
  statefulSet,
  daemonSet,
  controllerRevision,
  job,
  cronJob,
  horizontalPodAutoscaler,
  oldHorizontalPodAutoscaler,
  podDisruptionBudget,
  priorityClass,
  runtimeClass,
  storageClass,
  csiDriver,
  csiNode,
  csiStorageCapacity,
  volumeAttachment,
  role,
  roleBinding,
  clusterRole,
  clusterRoleBinding,
  ingress,
  ingressClass,
  networkPolicy,
  ipAddress,
  serviceCidr,
  certificateSigningRequest,
  flowSchema,
  priorityLevelConfiguration,
  apiService,
  scale,
  eviction,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  subjectAccessReview,
  localSubjectAccessReview,
  tokenReview,
  tokenRequest,
  selfSubjectReview,
  mutatingWebhookConfiguration,
  validatingWebhookConfiguration,
  validatingAdmissionPolicy,
  validatingAdmissionPolicyBinding,
  customResourceDefinition,
]
