// The list of all controllers. Adding one is one file beside these and one line here.
import { apiServiceController } from './apiservice.ts'
import { certificateCleanerController } from './certificatecleaner.ts'
import { clusterRoleController } from './clusterrole.ts'
import type { Controller } from './controller.ts'
import { daemonSetController } from './daemonset.ts'
import { definitionCleanupController, definitionNamesController } from './definition.ts'
import { deploymentController } from './deployment.ts'
import { endpointsController } from './endpoints.ts'
import { endpointSliceController } from './endpointslice.ts'
import { eventExpiryController, tokenExpiryController } from './expiry.ts'
import { flowSchemaController } from './flowschema.ts'
import { garbageController } from './garbage.ts'
import { ipAddressController } from './ipaddress.ts'
import { jobController } from './job.ts'
import { membershipController } from './membership.ts'
import { mirrorController } from './mirror.ts'
import { namespaceController } from './namespace.ts'
import { nodeHealthController } from './nodehealth.ts'
import { podCidrController } from './podcidr.ts'
import { podGarbageController } from './podgarbage.ts'
import { policyStatusController } from './policystatus.ts'
import { claimProtectionController, volumeProtectionController } from './protection.ts'
import { replicaSetController } from './replicaset.ts'
import { resourceQuotaController } from './resourcequota.ts'
import { rootCaController, serviceAccountController } from './serviceaccount.ts'

export const controllers: readonly Controller[] = [
  deploymentController,
  replicaSetController,
  daemonSetController,
  jobController,
  endpointSliceController,
  endpointsController,
  mirrorController,
  apiServiceController,
  nodeHealthController,
  podCidrController,
  membershipController,
  namespaceController,
  definitionNamesController,
  definitionCleanupController,
  serviceAccountController,
  rootCaController,
  clusterRoleController,
  flowSchemaController,
  policyStatusController,
  garbageController,
  podGarbageController,
  eventExpiryController,
  tokenExpiryController,
  certificateCleanerController,
  ipAddressController,
  resourceQuotaController,
  claimProtectionController,
  volumeProtectionController,
]
