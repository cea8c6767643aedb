// What admission has to say to the record of a request: annotations of its audit event. They are made where the request is
// carried out, which is often another peer than the one that was asked and writes the event, so they travel back with the
// answer (forward.ts). Pure. After apiserver/pkg/admission/attributes.go and audit.go.
import { dnsSubdomain, qualifiedName } from '../api/names.ts'

export type Annotation = {
  /** `<DNS subdomain>/<name>` */
  readonly key: string
  readonly value: string
  /** Written only where the request's own body is: it repeats of that. */
  readonly ofBody?: true
}

/** The first word on a key stays. Throws nothing: a key that is none is left out, as upstream. */
export type Annotate = (annotation: Annotation) => void

export function openAnnotations(): { readonly annotate: Annotate; all(): readonly Annotation[] } {
  const found = new Map<string, Annotation>()
  return {
    annotate(annotation) {
      const { key } = annotation
      if (isKey(key) && !found.has(key)) found.set(key, annotation)
    },
    all: () => [...found.values()],
  }
}

function isKey(key: string): boolean {
  const [prefix = '', name, ...more] = key.split('/')
  if (name === undefined || more.length > 0) return false
  return dnsSubdomain(prefix) === undefined && qualifiedName(name) === undefined
}
