// exec, attach, port-forward and proxy pass admission as what they ask for: PodExecOptions and its kin, verb CONNECT. What a
// webhook makes of these options is what is connected.
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
import { ApiError } from '../../api/error.ts'
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
import type { Change } from './admission.ts'

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

export type Connection = { readonly asked: ResourceRoute; readonly query: URLSearchParams }

/**
 * What is to be connected: as it was asked for, or as a webhook has changed its options. Does nothing for any other request.
 * Throws the ApiError of whoever refuses.
 */
export async function admitConnect(
  context: Pick<WriteContext, 'world' | 'admission' | 'notes'>,
  kind: Kind,
  wanted: Connection,
  identity: Identity,
  signal: AbortSignal,
): Promise<Connection> {
  const { asked, query } = wanted
  const { resource, subresource = '', group, namespace, name = '' } = asked
  const objectKind = group === '' ? kinds[`${resource}/${subresource}`] : undefined
  if (objectKind === undefined) return wanted
  if (query.has('dryRun')) throw new ApiError('BadRequest', 'dryRun is not supported')
  const fields = { kind: objectKind.kind, apiVersion: 'v1', ...fieldsOf(subresource, asked, query) }
  const change: Change & { readonly object: KubeObject } = {
    kind,
    subresource,
    objectKind,
    verb: 'CONNECT',
    namespace,
    name,
    object: fields as unknown as KubeObject,
    old: undefined,
    identity,
    dryRun: false,
    options: {},
    stamp: stampOf(context),
    notes: context.notes,
  }
  const asking = context.admission.begin()
  const object = await asking.mutate(change, signal)
  await asking.validate({ ...change, object }, signal)
  return object === change.object ? wanted : connectionOf(wanted, subresource, object as unknown as JsonObject)
}

const flags = ['stdin', 'stdout', 'stderr', 'tty']

function fieldsOf(subresource: string, asked: ResourceRoute, query: URLSearchParams): JsonObject {
  const given = flags.filter(name => isTrue(query.get(name)))
  const container = query.get('container') ?? ''
  const streams: JsonObject = {
    ...Object.fromEntries(given.map((name): [string, Json] => [name, true])),
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

/** The other way round; what options do not say of the query stays. */
function connectionOf({ asked, query }: Connection, subresource: string, fields: JsonObject): Connection {
  if (subresource === 'proxy') {
    const path = typeof fields['path'] === 'string' ? fields['path'] : ''
    return { query, asked: { ...asked, rest: path.replace(/^\//, '') } }
  }
  const own = [...flags, 'container', 'command', 'ports']
  const next = new URLSearchParams([...query].filter(([name]) => !own.includes(name)))
  for (const name of own) {
    const value = fields[name]
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== false) next.append(name, String(one))
    }
  }
  return { asked, query: next }
}
