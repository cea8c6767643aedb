// The plugins in the order in which they are asked, which is upstream's. Adding one is a file beside this and a line here.
import type { Step } from './admission.ts'
import { certificateRequester } from './certificates.ts'
import { defaultIngressClass } from './defaultingressclass.ts'
import { limitRanger } from './limitranger.ts'
import { mandatoryFlows } from './mandatoryflows.ts'
import { nodeRestriction } from './noderestriction.ts'
import { nodeTaint } from './nodetaint.ts'
import { podSecurity } from './podsecurity.ts'
import { oneDefault, priority } from './priority.ts'
import { resourceQuota } from './resourcequota.ts'
import { runtimeClass } from './runtimeclass.ts'
import { serviceAccount } from './serviceaccount.ts'
import { specialAddresses } from './specialaddresses.ts'
import { claimResize, defaultStorageClass, storageObjectInUse } from './storage.ts'
import { defaultTolerationSeconds } from './tolerations.ts'

export const chain: readonly Step[] = [
  { plugin: limitRanger },
  { plugin: serviceAccount },
  { plugin: nodeRestriction },
  { plugin: nodeTaint },
  { plugin: podSecurity },
  { plugin: priority },
  { plugin: oneDefault },
  { plugin: defaultTolerationSeconds },
  { plugin: defaultStorageClass },
  { plugin: storageObjectInUse },
  { plugin: claimResize },
  { plugin: runtimeClass },
  { plugin: certificateRequester },
  { plugin: defaultIngressClass },
  { plugin: mandatoryFlows },
  { plugin: specialAddresses },
]

/** Asked behind everybody else: what is refused by another is not counted. */
export const lastly: readonly Step[] = [{ plugin: resourceQuota }]
