// What logs, exec, attach and port-forward ask for, from their query. Pure.
import { create } from '@bufbuild/protobuf'
import { ApiError } from '../api/error.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { JsonObject } from '../api/schema.ts'
import { type KubeletRequest, KubeletRequestSchema } from '../wire/gen/flotilla/v1/kubelet_pb.ts'
import type { CommandStreams } from '../world/http.ts'
import { isTrue } from './route.ts'

export const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const

/** The container that is meant: the one named, the default one by annotation, or the only one. */
export function containerOf(pod: Pod, named: string): string {
  const { spec, metadata } = pod
  const all = [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])]
  if (named !== '') {
    if (all.some(({ name }) => name === named)) return named
    throw new ApiError('BadRequest', `container ${named} is not valid for pod ${metadata.name}`)
  }
  const [first, ...others] = spec.containers ?? []
  if (first !== undefined && others.length === 0) return first.name
  const byDefault = metadata.annotations?.['kubectl.kubernetes.io/default-container']
  if (byDefault !== undefined && all.some(({ name }) => name === byDefault)) return byDefault
  const names = (spec.containers ?? []).map(({ name }) => name).join(' ')
  throw new ApiError(
    'BadRequest',
    `a container name must be specified for pod ${metadata.name}, choose one of: [${names}]`,
  )
}

export function streamsOf(query: URLSearchParams): CommandStreams {
  const tty = isTrue(query.get('tty'))
  const streams = {
    stdin: isTrue(query.get('stdin')),
    stdout: isTrue(query.get('stdout')),
    // A terminal has one output.
    stderr: isTrue(query.get('stderr')) && !tty,
    tty,
  }
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw new ApiError('BadRequest', 'you must specify at least 1 of stdin, stdout, stderr')
  }
  return streams
}

type Target = { readonly pod: Pod; readonly container: string }

function request(target: Target, ask: KubeletRequest['ask']): KubeletRequest {
  const { metadata } = target.pod
  return create(KubeletRequestSchema, {
    namespace: metadata.namespace ?? '',
    pod: metadata.name,
    uid: metadata.uid,
    container: target.container,
    ask: ask as never,
  })
}

export function execRequest(target: Target, query: URLSearchParams, streams: CommandStreams): KubeletRequest {
  const command = query.getAll('command')
  if (command.length === 0) throw new ApiError('BadRequest', 'you must specify at least one command')
  return request(target, { case: 'exec', value: { command, ...streams } as never })
}

export function attachRequest(target: Target, streams: CommandStreams): KubeletRequest {
  return request(target, { case: 'attach', value: { ...streams } as never })
}

export function forwardRequest(pod: Pod, port: number): KubeletRequest {
  return request({ pod, container: '' }, { case: 'portForward', value: { port } as never })
}

export type LogForm = { readonly request: KubeletRequest; readonly follow: boolean }

export function logsRequest(target: Target, query: URLSearchParams, nowMs: number): LogForm {
  const count = (name: string, min: number): number | undefined => {
    const text = query.get(name)
    if (text === null || text === '') return undefined
    const value = Number(text)
    if (!/^-?\d{1,15}$/.test(text) || value < min) {
      const message = `Invalid value: ${text.slice(0, 32)}: must be greater than or equal to ${min}`
      throw new ApiError('Invalid', `PodLogOptions "" is invalid: ${name}: ${message}`, {
        kind: 'PodLogOptions',
        causes: [{ reason: 'FieldValueInvalid', message, field: name }],
      })
    }
    return value
  }
  const since = query.get('sinceTime')
  const sinceSeconds = count('sinceSeconds', 1)
  if (since !== null && since !== '' && sinceSeconds !== undefined) {
    throw new ApiError('BadRequest', 'at most one of `sinceTime` or `sinceSeconds` may be specified')
  }
  const sinceMs = sinceSeconds !== undefined ? nowMs - sinceSeconds * 1_000 : since ? Date.parse(since) : undefined
  if (sinceMs !== undefined && Number.isNaN(sinceMs)) throw new ApiError('BadRequest', 'sinceTime is no RFC 3339 time')
  const tailLines = count('tailLines', 0)
  const limitBytes = count('limitBytes', 1)
  const follow = isTrue(query.get('follow'))
  const stream = query.get('stream') ?? ''
  return {
    follow,
    request: request(target, {
      case: 'logs',
      value: {
        follow,
        previous: isTrue(query.get('previous')),
        timestamps: isTrue(query.get('timestamps')),
        ...(tailLines !== undefined && { tailLines: BigInt(tailLines) }),
        ...(sinceMs !== undefined && { sinceMs: BigInt(Math.round(sinceMs)) }),
        ...(limitBytes !== undefined && { limitBytes: BigInt(limitBytes) }),
        stream: stream === 'Stdout' ? 'stdout' : stream === 'Stderr' ? 'stderr' : '',
      } as never,
    }),
  }
}

export function failureStatus(message: string): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  }
}
