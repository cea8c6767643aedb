// What is to be said of a request beside its answer, also when it is refused: annotations of its audit event, and warnings to
// who asks. They are made where the request is carried out, which is often another peer than the one that was asked, so they
// travel back with the answer (forward.ts). Pure. After apiserver/pkg/admission/attributes.go and audit.go, pkg/warning.
import { dnsSubdomain, qualifiedName } from '../api/names.ts'

export type Annotation = {
  /** `<DNS subdomain>/<name>` */
  readonly key: string
  readonly value: string
  /** Written only where the request's own body is: it repeats of that. */
  readonly ofBody?: true
}

export interface Notes {
  /** The first word on a key stays. A key that is none is left out, as upstream. */
  annotate(annotation: Annotation): void
  /** What was said before is not said again. */
  warn(text: string): void
}

export const unnoted: Notes = { annotate: () => {}, warn: () => {} }

export function openNotes(): Notes & { annotations(): readonly Annotation[]; warnings(): readonly string[] } {
  const annotations = new Map<string, Annotation>()
  const warnings = new Set<string>()
  return {
    annotate(annotation) {
      const { key } = annotation
      if (isKey(key) && !annotations.has(key)) annotations.set(key, annotation)
    },
    warn: text => void warnings.add(text),
    annotations: () => [...annotations.values()],
    warnings: () => [...warnings],
  }
}

function isKey(key: string): boolean {
  const [prefix = '', name, ...more] = key.split('/')
  if (name === undefined || more.length > 0) return false
  return dnsSubdomain(prefix) === undefined && qualifiedName(name) === undefined
}
