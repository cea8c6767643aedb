// What the end-to-end tests ask of the testnet: kubectl of any version against any peer, commands on hosts, waiting.

import * as path from 'node:path'
import { inject } from 'vitest'
import { CommandError, type Output, run, until } from '../../testnet/command.ts'
import { addressOf, onHost } from '../../testnet/hosts.ts'
import { kubectlCommand, load, type Testnet } from '../../testnet/testnet.ts'
import { kubectlBinaries } from '../clients.ts'

export const hosts = [1, 2, 3] as const
export const example = path.resolve(import.meta.dirname, '../../examples/web.yaml')

export async function testnet(): Promise<Testnet> {
  return await load(inject('testnetDir'))
}

export type Kubectl = (
  args: string | readonly string[],
  options?: { input?: string; timeoutMs?: number; env?: NodeJS.ProcessEnv },
) => Promise<string>

/** `kubectl` of a version, on the host of the peer that it speaks with. Resolves with what it printed. */
export async function kubectl(peer: number, version?: string): Promise<Kubectl> {
  const net = await testnet()
  const binary = version === undefined ? 'kubectl' : kubectlBinaries().get(version)
  if (binary === undefined) throw new Error(`no kubectl ${version} here`)
  return async (args, options = {}) => {
    const words = typeof args === 'string' ? args.split(' ') : args
    return (await run(kubectlCommand(net, peer, peer, words, binary), options)).stdout
  }
}

export async function on(host: number, command: readonly string[], timeoutMs?: number): Promise<Output> {
  return await run(onHost((await testnet()).net, host, command), timeoutMs === undefined ? {} : { timeoutMs })
}

/** The body that an HTTP GET from a host gives; undefined when it fails or takes longer than two seconds. */
export async function get(host: number, url: string): Promise<string | undefined> {
  try {
    return (await on(host, ['curl', '-sf', '-m', '2', url])).stdout.trim()
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

export { addressOf, until }

/** Runs `what` in a namespace of its own, which is deleted after it. */
export async function inNamespace(name: string, what: (namespace: string) => Promise<void>): Promise<void> {
  const k = await kubectl(1)
  await k(['create', 'namespace', name])
  try {
    await what(name)
  } finally {
    await k(['delete', 'namespace', name, '--wait=true', '--timeout=90s'])
  }
}

type Pods = {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string }
    readonly spec: { readonly nodeName: string }
    readonly status: {
      readonly podIP?: string
      readonly containerStatuses?: readonly {
        readonly containerID?: string
        readonly restartCount: number
        readonly ready: boolean
      }[]
    }
  }[]
}

export async function podsOf(k: Kubectl, namespace: string): Promise<Pods['items']> {
  return (JSON.parse(await k(['-n', namespace, 'get', 'pods', '-o', 'json'])) as Pods).items
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
