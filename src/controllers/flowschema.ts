// Says of each FlowSchema whether its priority level is there (condition Dangling), which `kubectl get flowschemas` shows.
// After kubernetes staging/src/k8s.io/apiserver/pkg/util/flowcontrol.
import { flowSchema } from '../api/kinds/flowschema.ts'
import { priorityLevelConfiguration } from '../api/kinds/prioritylevelconfiguration.ts'
import { rfc3339 } from '../lib/duration.ts'
import { defineController, nothing, type Plan, patchConditions } from './controller.ts'

export const flowSchemaController = defineController({
  name: 'flowschema',
  of: flowSchema,
  reads: { levels: priorityLevelConfiguration },
  wakes: {
    levels: ({ metadata }, { itself }) =>
      itself
        .list()
        .filter(({ spec }) => spec.priorityLevelConfiguration.name === metadata.name)
        .map(schema => schema.metadata.name),
  },
  reconcile(schema, { levels }, { nowMs }): Plan {
    const { name } = schema.spec.priorityLevelConfiguration
    const isThere = levels.get(undefined, name) !== undefined
    const status = isThere ? 'False' : 'True'
    if (schema.status.conditions?.find(({ type }) => type === 'Dangling')?.status === status) return nothing
    const condition = {
      type: 'Dangling',
      status,
      lastTransitionTime: rfc3339(nowMs),
      reason: isThere ? 'Found' : 'NotFound',
      message: `This FlowSchema references the PriorityLevelConfiguration object named "${name}" ${isThere ? 'and it exists' : 'but there is no such object'}`,
    }
    return { changes: [patchConditions(flowSchema, schema, [condition])] }
  },
})
