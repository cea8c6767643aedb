// Says in the status of each ValidatingAdmissionPolicy what its expressions get wrong about the kinds that it matches, once
// for each change of its spec. After kubernetes pkg/controller/validatingadmissionpolicystatus.
import { builtInTypes, customTypes, expressionWarnings } from '../api/cel/typecheck.ts'
import { customResourceDefinition } from '../api/kinds/customresourcedefinition.ts'
import { validatingAdmissionPolicy } from '../api/kinds/validatingadmissionpolicy.ts'
import { kinds } from '../api/kinds.ts'
import { defineController, nothing, updateStatus } from './controller.ts'

const laggingMs = 100

export const policyStatusController = defineController({
  name: 'validatingadmissionpolicy-status',
  of: validatingAdmissionPolicy,
  reads: { definitions: customResourceDefinition },
  // What somebody defines later is looked at when the policy changes, as upstream.
  wakes: {},
  reconcile(policy, { definitions }, { nowMs }) {
    const { generation = 0, resourceVersion } = policy.metadata
    if (generation <= (policy.status.observedGeneration ?? 0)) return nothing
    // What was defined before the policy was written has to be seen: it is looked at only once.
    if (definitions.revision < Number(resourceVersion)) return { changes: [], againAtMs: nowMs + laggingMs }
    const warnings = expressionWarnings(policy, [...builtInTypes(kinds), ...customTypes(definitions.list())])
    const typeChecking = warnings.length === 0 ? {} : { expressionWarnings: warnings }
    const status = { ...policy.status, observedGeneration: generation, typeChecking }
    return { changes: [updateStatus(validatingAdmissionPolicy, { ...policy, status })] }
  },
})
