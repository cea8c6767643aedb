// How finalizers may be called. Those of kinds that are built in must be qualified, or of Kubernetes' own, when the object is
// made; whoever defines kinds is only told that others may take the same name.
// Upstream: pkg/apis/core/validation ValidateFinalizerName, apiextensions-apiserver pkg/registry/customresource/strategy.go
import { invalidValue } from './field.ts'
import type { FieldError, Kind, KubeObject } from './kind.ts'
import { qualifiedName } from './names.ts'
import type { ObjectMeta } from './types/meta.ts'

const standard = new Set(['kubernetes', 'orphan', 'foregroundDeletion'])
/** Their objects are validated by what all API servers share, which asks for less. */
const lenientGroups = new Set(['admissionregistration.k8s.io', 'apiextensions.k8s.io', 'apiregistration.k8s.io'])

const isUnqualified = (name: string): boolean => !name.includes('/') && !standard.has(name)

export function finalizerErrors(kind: Kind, { finalizers = [] }: ObjectMeta, isNew: boolean): readonly FieldError[] {
  const path = 'metadata.finalizers'
  const errors = finalizers.flatMap((name): FieldError[] => {
    const wrong = qualifiedName(name)
    return wrong === undefined ? [] : [invalidValue(path, name, wrong)]
  })
  if (!isNew) return errors
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    errors.push(invalidValue(path, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'))
  }
  if (kind.custom || lenientGroups.has(kind.group)) return errors
  for (const [i, name] of finalizers.entries()) {
    if (!isUnqualified(name)) continue
    const why = 'name is neither a standard finalizer name nor is it fully qualified'
    errors.push(invalidValue(`${path}[${i}]`, name, why))
  }
  return errors
}

/** Of the finalizers that were not there before. */
export function finalizerWarnings(kind: Kind, object: KubeObject, old?: KubeObject): readonly string[] {
  const { finalizers = [] } = object.metadata
  if (!kind.custom || finalizers.length === 0) return []
  const before = old?.metadata.finalizers ?? []
  return finalizers
    .filter(name => isUnqualified(name) && !before.includes(name))
    .toSorted()
    .map(
      name =>
        `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
    )
}
