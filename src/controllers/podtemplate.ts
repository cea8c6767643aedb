// The pod that a controller makes from a template. Pure. After kubernetes GetPodFromTemplate.
import type { KubeObject } from '../api/kind.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { Draft } from '../api/schema.ts'
import type { OwnerReference } from '../api/types/meta.ts'
import type { PodTemplateSpec } from '../api/types/podspec.ts'

/** Room is left for the suffix of five characters that the server adds to `generateName`. */
const generateNameMax = 253 - 5

export function podFromTemplate(
  owner: KubeObject,
  template: PodTemplateSpec | undefined,
  reference: OwnerReference,
): Draft<Pod> {
  const { namespace, name } = owner.metadata
  const { labels, annotations, finalizers } = template?.metadata ?? {}
  return {
    metadata: {
      generateName: `${name.slice(0, generateNameMax - 1)}-`,
      ...(namespace !== undefined && { namespace }),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [reference],
    },
    ...(template && { spec: template.spec }),
  }
}
