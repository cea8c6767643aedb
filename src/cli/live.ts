// The live view of `flotilla demo`: drawn again each second on a terminal; without one it only waits.
import { aborted } from '../lib/abort.ts'
import type { StatusReport } from '../node/status.ts'
import { describe } from './status.ts'
import { table } from './table.ts'

export type LiveData = { readonly report: StatusReport; readonly pods: readonly (readonly string[])[] }

export async function liveView(
  read: () => Promise<LiveData | undefined>,
  url: string,
  kubeconfig: string,
  signal: AbortSignal,
): Promise<void> {
  if (!process.stdout.isTTY) return await aborted(signal)
  while (!signal.aborted) {
    const data = await read()
    // Home, draw, clear what is below: no flicker.
    process.stdout.write(`\x1b[H${screen(data, url, kubeconfig).replaceAll('\n', '\x1b[K\n')}\x1b[J`)
    await Promise.race([new Promise(resolve => setTimeout(resolve, 1_000)), aborted(signal)])
  }
}

function screen(data: LiveData | undefined, url: string, kubeconfig: string): string {
  const tail = [
    '',
    `the sample application:  curl ${url}`,
    `the cluster:             kubectl --kubeconfig ${kubeconfig} --context peer-2 get pods -A`,
    '',
    'Ctrl-C ends everything.',
    '',
  ]
  if (data === undefined) return ['no peer answers at this moment', ...tail].join('\n')
  return [describe(data.report), '', table(['POD', 'STATUS', 'NODE', 'IP'], data.pods), ...tail].join('\n')
}
