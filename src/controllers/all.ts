// The list of all controllers. Adding one is one file beside these and one line here.
import type { Controller } from './controller.ts'
import { deploymentController } from './deployment.ts'
import { endpointsController } from './endpoints.ts'
import { endpointSliceController } from './endpointslice.ts'
import { replicaSetController } from './replicaset.ts'

export const controllers: readonly Controller[] = [
  deploymentController,
  replicaSetController,
  endpointSliceController,
  endpointsController,
]
