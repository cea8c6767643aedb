// IngressClass (networking.k8s.io/v1): which controller carries out the Ingresses that name it.
// https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
import { forbidden, invalidValue, requiredValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsLabel, dnsSubdomain, pathSegment } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { ruled } from '../types/network.ts'
import { fixed } from '../workload.ts'

export const ingressClassParametersReference = s.object(
  'io.k8s.api.networking.v1.IngressClassParametersReference',
  {
    apiGroup: s.string(1, {
      pointer: true,
      description: 'Group of the kind, without a version; absent: the core group.',
    }),
    kind: s.string(2, { required: true, description: 'Kind of the object, as the controller documents it.' }),
    name: s.string(3, { required: true, description: 'What the object is called.' }),
    scope: s.oneOf(4, ['Cluster', 'Namespace'], {
      pointer: true,
      description:
        'Whether the object belongs to the cluster (Cluster, the default) or lies in a namespace (Namespace).',
    }),
    namespace: s.string(5, {
      pointer: true,
      description: 'Where the object lies: needed for the scope Namespace, forbidden for Cluster.',
    }),
  },
  { description: 'An object with settings for the controller of the class.' },
)
export type IngressClassParametersReference = TypeOf<typeof ingressClassParametersReference>
export const ingressClassSpec = s.object(
  'io.k8s.api.networking.v1.IngressClassSpec',
  {
    controller: s.string(
      1,
      'Name of the controller, domain first, as in example.com/ingress; at most 250 characters, immutable.',
    ),
    parameters: s.of(2, ingressClassParametersReference, 'Settings that the controller reads; which, it documents.'),
  },
  { description: 'Who carries out the Ingresses of the class.' },
)
export type IngressClassSpec = TypeOf<typeof ingressClassSpec>
export const ingressClassSchema = s.object(
  'io.k8s.api.networking.v1.IngressClass',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description:
        'The annotation ingressclass.kubernetes.io/is-default-class: "true" makes it the one for Ingresses that name none.',
    }),
    spec: s.of(2, ingressClassSpec, { default: {}, description: 'The controller and its settings.' }),
  },
  { description: 'A class that Ingresses can name to say which controller carries them out.' },
)
export type IngressClass = TypeOf<typeof ingressClassSchema>

const controllerLengthMax = 250
const pathFormat = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"
const pathPattern = new RegExp(`^${pathFormat}$`)

/** 'example.com/controller': whose controller it is, and which. */
function validateController(controller: string): readonly FieldError[] {
  const path = 'spec.controller'
  if (controller === '') return [requiredValue(path)]
  const errors: FieldError[] = []
  if (controller.length > controllerLengthMax) errors.push(tooLong(path, controllerLengthMax))
  const slash = controller.indexOf('/')
  const [host, rest] = [controller.slice(0, slash), controller.slice(slash + 1)]
  if (slash < 1 || rest === '') {
    return [...errors, invalidValue(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')]
  }
  errors.push(...ruled(path, host, dnsSubdomain))
  if (!pathPattern.test(rest)) {
    errors.push(invalidValue(path, rest, `Invalid path (regex used for validation is '${pathFormat}')`))
  }
  return errors
}

function validateParameters(parameters: IngressClassParametersReference): readonly FieldError[] {
  const { apiGroup, kind, name, scope, namespace } = parameters
  const path = 'spec.parameters'
  const errors: FieldError[] = [
    ...ruled(`${path}.apiGroup`, apiGroup, dnsSubdomain),
    ...ruled(`${path}.kind`, kind, pathSegment),
    ...ruled(`${path}.name`, name, pathSegment),
  ]
  if (scope === 'Namespace') {
    const wrong = namespace === undefined ? undefined : dnsLabel(namespace)
    if (namespace === undefined) {
      errors.push(requiredValue(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"))
    } else if (wrong !== undefined) errors.push(invalidValue(`${path}.namespace`, namespace, wrong))
  }
  if (scope === 'Cluster' && namespace !== undefined) {
    errors.push(forbidden(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"))
  }
  return errors
}

function parametersText({ parameters }: IngressClassSpec): string {
  if (!parameters) return '<none>'
  const { apiGroup, kind, name } = parameters
  return `${kind}${apiGroup === undefined ? '' : `.${apiGroup}`}/${name}`
}

export const ingressClass = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IngressClass',
  plural: 'ingressclasses',
  scope: 'Cluster',
  schema: ingressClassSchema,
  columns: () => [
    { name: 'Controller', type: 'string', cell: ({ spec }) => spec.controller ?? '' },
    { name: 'Parameters', type: 'string', cell: ({ spec }) => parametersText(spec) },
  ],
  defaults: object => {
    const { parameters } = object.spec
    if (!parameters) return object
    return { ...object, spec: { ...object.spec, parameters: { ...parameters, scope: parameters.scope ?? 'Cluster' } } }
  },
  validate: ({ spec }, old) => [
    ...validateController(spec.controller ?? ''),
    ...(spec.parameters ? validateParameters(spec.parameters) : []),
    ...fixed('spec.controller', spec.controller, old, old?.spec.controller),
  ],
})
