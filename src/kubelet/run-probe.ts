// Asks the probes' and hooks' questions: exec in the container, HTTP and TCP to the pod. Decides nothing: probe.ts folds
// the answers.
import * as http from 'node:http'
import * as https from 'node:https'
import * as net from 'node:net'
import type { Container } from '../api/types/container.ts'
import type { HTTPGetAction, LifecycleHandler, Probe } from '../api/types/probe.ts'
import { aborted, onAbort } from '../lib/abort.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { ContainerRuntime, Observed } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import type { Pod } from './plan.ts'
import { foldProbe, hasFailed, initialProbe, type ProbeState } from './probe.ts'
import { type ProbeAnswers, probesOf, type WantedProbe } from './probes.ts'
import { askGrpc } from './run-probe-grpc.ts'

export type Answer = { readonly success: boolean; readonly output: string }

export const outputBytesMax = 10 * 1024

type Target = { readonly containerId: string; readonly host: string; readonly ports: Container['ports'] }

/** Never rejects: a question that cannot be asked is a failure with its reason as output. */
export async function ask(
  runtime: ContainerRuntime,
  action: Probe | LifecycleHandler,
  target: Target,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    if (action.exec !== undefined) return await askExec(runtime, target.containerId, action.exec.command ?? [], signal)
    if (action.httpGet !== undefined) return await askHttp(action.httpGet, target, signal)
    if (action.tcpSocket !== undefined) {
      const { host = target.host, port } = action.tcpSocket
      return await askTcp(host === '' ? target.host : host, portOf(port, target.ports), signal)
    }
    if ('grpc' in action && action.grpc !== undefined) {
      return await askGrpc(action.grpc, target.host, signal)
    }
    return { success: true, output: '' }
  } catch (error) {
    return { success: false, output: error instanceof Error ? error.message : String(error) }
  }
}

function portOf(port: number | string, ports: Container['ports']): number {
  if (typeof port === 'number') return port
  const named = ports?.find(one => one.name === port)?.containerPort ?? Number(port)
  if (!Number.isInteger(named)) throw new Error(`couldn't find port: ${port}`)
  return named
}

async function askExec(
  runtime: ContainerRuntime,
  id: string,
  command: readonly string[],
  signal: AbortSignal,
): Promise<Answer> {
  const parts: Bytes[] = []
  let size = 0
  const keep = async (bytes: Bytes) => {
    if (size < outputBytesMax) parts.push(bytes)
    size += bytes.length
  }
  const stdio = {
    input: nothing<Bytes>(),
    resizes: nothing<{ width: number; height: number }>(),
    stdout: keep,
    stderr: keep,
  }
  const code = await Promise.race([
    runtime.exec(id, { command, tty: false, stdin: false }, stdio, signal),
    aborted(signal).then(() => undefined),
  ])
  const output = Buffer.concat(parts).toString('utf8').slice(0, outputBytesMax)
  if (code === undefined) return { success: false, output: `command ${JSON.stringify(command)} timed out` }
  return { success: code === 0, output: code === 0 ? output : `${output}\ncommand exited with ${code}`.trim() }
}

async function* nothing<T>(): AsyncGenerator<T> {}

const redirectsMax = 10

async function askHttp(get: HTTPGetAction, target: Target, signal: AbortSignal): Promise<Answer> {
  const host = get.host === undefined || get.host === '' ? target.host : get.host
  const scheme = get.scheme === 'HTTPS' ? 'https' : 'http'
  const start = `${scheme}://${host}:${portOf(get.port, target.ports)}`
  let url = new URL(get.path.startsWith('/') ? get.path : `/${get.path}`, start)
  const headers: Record<string, string> = { 'User-Agent': 'kube-probe/1.33', Accept: '*/*', Connection: 'close' }
  for (const { name, value } of get.httpHeaders ?? []) headers[name] = value
  for (let redirects = 0; ; redirects++) {
    const { code, location } = await fetchHead(url, headers, signal)
    const next = location !== undefined && code >= 300 && code < 400 ? new URL(location, url) : undefined
    // As upstream: within the host it is followed; one that leads elsewhere says that this host is well.
    if (next === undefined || next.hostname !== url.hostname) {
      const success = code >= 200 && code < 400
      return { success, output: success ? '' : `HTTP probe failed with statuscode: ${code}` }
    }
    if (redirects >= redirectsMax) return { success: false, output: `stopped after ${redirectsMax} redirects` }
    url = next
  }
}

function fetchHead(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly code: number; readonly location: string | undefined }> {
  const options = {
    headers,
    agent: false as const,
    // As Go's parser: a server that ends header lines with a bare line feed is alive all the same.
    insecureHTTPParser: true,
    signal,
  }
  return new Promise((resolve, reject) => {
    const answered = (response: http.IncomingMessage) => {
      resolve({ code: response.statusCode ?? 0, location: response.headers.location })
      response.destroy()
    }
    // As upstream: a probe does not check certificates.
    const request =
      url.protocol === 'https:'
        ? https.get(url, { ...options, rejectUnauthorized: false }, answered)
        : http.get(url, options, answered)
    request.on('error', reject)
  })
}

function askTcp(host: string, port: number, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port })
    const off = onAbort(signal, () => {
      socket.destroy()
      reject(new Error(`dial tcp ${host}:${port}: i/o timeout`))
    })
    socket.once('connect', () => {
      off[Symbol.dispose]()
      socket.destroy()
      resolve({ success: true, output: '' })
    })
    socket.on('error', error => {
      off[Symbol.dispose]()
      reject(error)
    })
  })
}

export interface Prober {
  readonly answers: ProbeAnswers
  /** Starts the askers that the pod needs now and stops the others. */
  tend(pod: Pod, observed: Observed | undefined): void
}

/** One asker per container and probe; `changed` is called when a verdict turns, `failed` at each failure. */
export function openProber(
  world: World,
  runtime: ContainerRuntime,
  hostOf: (pod: Pod) => string,
  on: { failed(pod: Pod, one: WantedProbe, output: string): void; changed(): void },
  signal: AbortSignal,
): Prober {
  const states = new Map<string, ProbeState>()
  const wanted = new Map<string, WantedProbe>()
  const asking = new Map<string, AbortController>()

  async function keepAsking(pod: Pod, one: WantedProbe, until: AbortSignal): Promise<void> {
    const { probe, kind, key } = one
    const firstAtMs = one.startedMs + (probe.initialDelaySeconds ?? 0) * 1_000
    await world.clock.sleep(Math.max(firstAtMs - world.clock.nowMs(), 0), until)
    while (!until.aborted) {
      const answer = await askOnce(pod, one, until)
      if (until.aborted) return
      const before = states.get(key) ?? initialProbe(kind, one.held)
      const after = foldProbe(before, probe, answer.success)
      states.set(key, after)
      if (!answer.success) on.failed(pod, one, answer.output)
      if (after.holds !== before.holds || hasFailed(kind, after, probe)) on.changed()
      await world.clock.sleep(probe.periodSeconds * 1_000, until)
    }
  }

  async function askOnce(
    pod: Pod,
    { probe, container, containerId }: WantedProbe,
    until: AbortSignal,
  ): Promise<Answer> {
    using deadline = world.clock.deadline(probe.timeoutSeconds * 1_000, until)
    const target = { containerId, host: hostOf(pod), ports: container.ports }
    return await ask(runtime, probe, target, deadline.signal)
  }

  const answers: ProbeAnswers = (id, kind) => {
    const state = states.get(`${id}/${kind}`)
    const one = wanted.get(`${id}/${kind}`)
    if (state === undefined || one === undefined) return undefined
    return { holds: state.holds, failed: hasFailed(kind, state, one.probe) }
  }

  return {
    answers,
    tend(pod, observed) {
      const list = probesOf(pod, observed, answers)
      const keys = new Set(list.map(one => one.key))
      for (const [key, controller] of asking) {
        if (keys.has(key)) continue
        controller.abort()
        asking.delete(key)
      }
      const alive = new Set((observed?.containers ?? []).map(one => one.id))
      for (const [key, one] of wanted) {
        if (alive.has(one.containerId)) continue
        wanted.delete(key)
        states.delete(key)
      }
      for (const one of list) {
        if (asking.has(one.key)) continue
        const controller = new AbortController()
        asking.set(one.key, controller)
        wanted.set(one.key, one)
        if (!states.has(one.key)) states.set(one.key, initialProbe(one.kind, one.held))
        keepAsking(pod, one, AbortSignal.any([signal, controller.signal])).catch(error => {
          world.log.error('a probe ended by an error', { probe: one.key, error: String(error) })
        })
      }
    },
  }
}
