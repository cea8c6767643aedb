// The flow schemas and priority levels `exempt` and `catch-all` are what a cluster is saved by when all others are wrong:
// nobody changes what they say, but how much the exempt level counts. Upstream's validation of the kinds does that
// (pkg/apis/flowcontrol/validation); here the objects are the server's, and not of the kinds.
import { applyDefaults } from '../../api/default.ts'
import { equalJson } from '../../api/equal.ts'
import { invalid } from '../../api/error.ts'
import { invalidValue } from '../../api/field.ts'
import { type FlowSchema, flowSchema } from '../../api/kinds/flowschema.ts'
import {
  type PriorityLevelConfiguration,
  type PriorityLevelConfigurationSpec,
  priorityLevelConfiguration,
} from '../../api/kinds/prioritylevelconfiguration.ts'
import { defaultLevels, defaultSchemas } from '../flowcontrol/defaults.ts'
import type { Plugin } from './admission.ts'

const mandatory = ['exempt', 'catch-all']
const named = <T extends { readonly metadata: { readonly name: string } }>(all: readonly T[]): readonly T[] =>
  all.filter(({ metadata }) => mandatory.includes(metadata.name))

const schemas = new Map(
  named(defaultSchemas).map(one => [one.metadata.name, applyDefaults(flowSchema, one as FlowSchema).spec]),
)
const levels = new Map(
  named(defaultLevels).map(one => [
    one.metadata.name,
    applyDefaults(priorityLevelConfiguration, one as PriorityLevelConfiguration).spec,
  ]),
)

export const mandatoryFlows: Plugin = {
  name: 'MandatoryFlows',
  handles: ({ kind, object, subresource }) =>
    (kind === flowSchema || kind === priorityLevelConfiguration) && object !== undefined && subresource === undefined,
  validate: ({ kind, object, name }) => {
    const why = kind === flowSchema ? wrongSchema(name, object as FlowSchema) : wrongLevel(name, object as Level)
    if (why === undefined) return undefined
    throw invalid(kind, name, [invalidValue('spec', (object as Level).spec, why)])
  },
}

type Level = PriorityLevelConfiguration

function wrongSchema(name: string, { spec }: FlowSchema): string | undefined {
  const fixed = schemas.get(name)
  return fixed === undefined || equalJson(fixed, spec) ? undefined : `spec of '${name}' must equal the fixed value`
}

function wrongLevel(name: string, { spec }: Level): string | undefined {
  const fixed = levels.get(name)
  if (fixed === undefined || equalJson(withoutExempt(fixed), withoutExempt(spec))) return undefined
  const but = fixed.exempt === undefined ? '' : " except the 'spec.exempt' field"
  return `spec of '${name}'${but} must equal the fixed value`
}

function withoutExempt({ exempt: _, ...rest }: PriorityLevelConfigurationSpec) {
  return rest
}
