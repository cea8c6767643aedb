// exec, attach, port-forward and proxy pass admission as what they ask for: PodExecOptions and its kin, verb CONNECT.
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
import { defineKind, type Kind, type KubeObject } from '../../api/kind.ts'
import type { Json, JsonObject, Schema } from '../../api/schema.ts'
import {
  nodeProxyOptions,
  podAttachOptions,
  podExecOptions,
  podPortForwardOptions,
  podProxyOptions,
  serviceProxyOptions,
} from '../../api/types/podoptions.ts'
import type { Identity } from '../../world/http.ts'
import { isTrue, type ResourceRoute } from '../route.ts'
import { stampOf, type WriteContext } from '../run-write.ts'
import type { Admission } from './run.ts'

const options = (kind: string, schema: Schema): Kind =>
  defineKind({
    group: '',
    version: 'v1',
    kind,
    plural: kind.toLowerCase(),
    scope: 'Namespaced',
    stored: false,
    // These have no metadata, and whoever is told of them looks for none.
    schema: schema as Schema<KubeObject>,
  })

const kinds: Readonly<Record<string, Kind>> = {
  'pods/exec': options('PodExecOptions', podExecOptions),
  'pods/attach': options('PodAttachOptions', podAttachOptions),
  'pods/portforward': options('PodPortForwardOptions', podPortForwardOptions),
  'pods/proxy': options('PodProxyOptions', podProxyOptions),
  'services/proxy': options('ServiceProxyOptions', serviceProxyOptions),
  'nodes/proxy': options('NodeProxyOptions', nodeProxyOptions),
}

/** Does nothing for any other request. Throws the ApiError of whoever refuses. */
export async function admitConnect(
  context: Pick<WriteContext, 'world'> & { readonly admission: Admission },
  kind: Kind,
  asked: ResourceRoute,
  query: URLSearchParams,
  identity: Identity,
  signal: AbortSignal,
): Promise<void> {
  const { resource, subresource = '', group, namespace, name = '' } = asked
  const objectKind = group === '' ? kinds[`${resource}/${subresource}`] : undefined
  if (objectKind === undefined) return
  const object = { kind: objectKind.kind, apiVersion: 'v1', ...fieldsOf(subresource, asked, query) }
  await context.admission.validate(
    {
      kind,
      subresource,
      objectKind,
      verb: 'CONNECT',
      namespace,
      name,
      object: object as unknown as KubeObject,
      old: undefined,
      identity,
      dryRun: false,
      options: {},
      stamp: stampOf(context),
    },
    signal,
  )
}

function fieldsOf(subresource: string, asked: ResourceRoute, query: URLSearchParams): JsonObject {
  const flags = ['stdin', 'stdout', 'stderr', 'tty'].filter(name => isTrue(query.get(name)))
  const container = query.get('container') ?? ''
  const streams: JsonObject = {
    ...Object.fromEntries(flags.map((name): [string, Json] => [name, true])),
    ...(container !== '' && { container }),
  }
  switch (subresource) {
    case 'exec':
      return { ...streams, command: query.getAll('command') }
    case 'attach':
      return streams
    case 'portforward': {
      const ports = query.getAll('ports').flatMap(text => text.split(',').map(Number))
      return ports.length > 0 ? { ports } : {}
    }
    default:
      return { path: `/${asked.rest ?? ''}` }
  }
}
