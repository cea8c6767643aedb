// What `ip -j` shows, typed and total: fields that this iproute2 leaves out are undefined, not a crash.
import { type CommandOptions, command } from './command.ts'

export type Link = {
  readonly index: number
  readonly name: string
  readonly up: boolean
  readonly mtu: number
  readonly mac: string
  readonly alias: string
  /** The other end's index, for a veth. */
  readonly peerIndex: number | undefined
  /** `vxlan`, `veth`, `dummy`, or '' for a plain device. */
  readonly kind: string
  readonly data: Readonly<Record<string, unknown>>
}

export type Address = {
  readonly device: string
  readonly ip: string
  readonly prefix: number
  readonly label: string
}

export type Route = {
  /** `unicast`, `unreachable`, `blackhole`, ... */
  readonly type: string
  readonly to: string
  readonly device: string
  readonly via: string
  readonly source: string
  readonly protocol: string
  readonly scope: string
  readonly mtu: number | undefined
}

export type Neighbour = {
  readonly ip: string
  readonly device: string
  readonly mac: string
  readonly permanent: boolean
}

export type Ip = {
  links(signal: AbortSignal): Promise<readonly Link[]>
  addresses(signal: AbortSignal): Promise<readonly Address[]>
  /** IPv4 routes of the main table. */
  routes(signal: AbortSignal): Promise<readonly Route[]>
  neighbours(device: string, signal: AbortSignal): Promise<readonly Neighbour[]>
  /** One process for many changes, each a line of arguments of `ip`; ends at the first that fails. */
  batch(lines: readonly string[], signal: AbortSignal): Promise<void>
  /** The same, but one that fails (the route to one bad peer) does not keep the rest from being done; rejects after all. */
  batchAll(lines: readonly string[], signal: AbortSignal): Promise<void>
}

type Json = Readonly<Record<string, unknown>>

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
const objectOf = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})

/** Parses the output of `ip -j` or `bridge -j`, which say nothing at all, or `[{}]`, when there is nothing to say. */
export function rows(output: string): readonly Json[] {
  if (output.trim() === '') return []
  const parsed: unknown = JSON.parse(output)
  if (!Array.isArray(parsed)) return []
  return parsed.map(objectOf).filter(row => Object.keys(row).length > 0)
}

function linkOf(row: Json): Link {
  const info = objectOf(row['linkinfo'])
  const flags = row['flags']
  return {
    index: numberOf(row['ifindex']) ?? 0,
    name: textOf(row['ifname']),
    up: Array.isArray(flags) && flags.includes('UP'),
    mtu: numberOf(row['mtu']) ?? 0,
    mac: textOf(row['address']),
    alias: textOf(row['ifalias']),
    peerIndex: numberOf(row['link_index']),
    kind: textOf(info['info_kind']),
    data: objectOf(info['info_data']),
  }
}

function routeOf(row: Json): Route {
  const metrics = Array.isArray(row['metrics']) ? objectOf(row['metrics'][0]) : {}
  const to = textOf(row['dst'])
  return {
    type: textOf(row['type']) || 'unicast',
    to: to === 'default' || to.includes('/') ? to : `${to}/32`,
    device: textOf(row['dev']),
    via: textOf(row['gateway']),
    source: textOf(row['prefsrc']),
    protocol: textOf(row['protocol']),
    scope: textOf(row['scope']),
    mtu: numberOf(metrics['mtu']),
  }
}

/** `ip` in the network namespace of this process, or in the one at `netnsPath`. */
export function ipIn(netnsPath?: string): Ip {
  const run = (file: string, args: readonly string[], options: CommandOptions) =>
    netnsPath === undefined
      ? command(file, args, options)
      : command('nsenter', [`--net=${netnsPath}`, file, ...args], options)
  const show = async (args: readonly string[], signal: AbortSignal) =>
    rows(await run('ip', ['-j', ...args], { signal }))
  return {
    links: async signal => (await show(['-d', 'link', 'show'], signal)).map(linkOf),
    addresses: async signal =>
      (await show(['-4', 'addr', 'show'], signal)).flatMap(row => {
        const infos = Array.isArray(row['addr_info']) ? row['addr_info'].map(objectOf) : []
        return infos.flatMap(info => {
          const ip = textOf(info['local'])
          const prefix = numberOf(info['prefixlen'])
          return ip === '' || prefix === undefined
            ? []
            : [{ device: textOf(row['ifname']), ip, prefix, label: textOf(info['label']) }]
        })
      }),
    routes: async signal => (await show(['-4', 'route', 'show', 'table', 'main'], signal)).map(routeOf),
    neighbours: async (device, signal) =>
      (await show(['-4', 'neigh', 'show', 'dev', device, 'nud', 'all'], signal)).map(row => ({
        ip: textOf(row['dst']),
        device,
        mac: textOf(row['lladdr']),
        permanent: Array.isArray(row['state']) && row['state'].includes('PERMANENT'),
      })),
    batch: async (lines, signal) => {
      if (lines.length > 0) await run('ip', ['-batch', '-'], { stdin: `${lines.join('\n')}\n`, signal })
    },
    batchAll: async (lines, signal) => {
      if (lines.length > 0) await run('ip', ['-force', '-batch', '-'], { stdin: `${lines.join('\n')}\n`, signal })
    },
  }
}
