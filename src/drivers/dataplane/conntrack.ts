// UDP has no connections, but the kernel remembers flows: a client with a fixed source port would go on talking to an
// endpoint that is gone. Which remembered flows contradict the table is decided here, purely, from the kernel's list.
import type { RouteTable } from '../../world/dataplane.ts'

export type Flow = {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  /** Who answers: the endpoint that it was sent to. */
  readonly answer: string
  readonly answerPort: number
}

const word = (line: string, name: string): readonly string[] =>
  [...line.matchAll(new RegExp(`\\b${name}=(\\S+)`, 'g'))].map(match => match[1] ?? '')

/** Reads `conntrack -L -p udp`. Lines of another form are left out. */
export function parseFlows(output: string): readonly Flow[] {
  return output.split('\n').flatMap(line => {
    const [source, answer] = word(line, 'src')
    const [destination] = word(line, 'dst')
    const [sourcePort, answerPort] = word(line, 'sport')
    const [destinationPort] = word(line, 'dport')
    if (source === undefined || answer === undefined || destination === undefined) return []
    if (sourcePort === undefined || answerPort === undefined || destinationPort === undefined) return []
    return [
      {
        source,
        sourcePort: Number(sourcePort),
        destination,
        destinationPort: Number(destinationPort),
        answer,
        answerPort: Number(answerPort),
      },
    ]
  })
}

/** Where UDP to an address, or to a port of the node, may lead: `10.96.0.10:53` or `*:30053` → `10.42.1.5:53`, ... */
export type UdpFronts = ReadonlyMap<string, ReadonlySet<string>>

export function udpFronts(table: RouteTable | undefined): UdpFronts {
  const fronts = new Map<string, Set<string>>()
  const add = (front: string, targets: readonly string[]) => {
    const known = fronts.get(front) ?? new Set<string>()
    for (const target of targets) known.add(target)
    fronts.set(front, known)
  }
  for (const route of table?.services ?? []) {
    if (route.protocol !== 'udp') continue
    const inner = route.backends.map(b => `${b.ip}:${b.port}`)
    const outer = [...inner, ...(route.externalBackends ?? []).map(b => `${b.ip}:${b.port}`)]
    for (const ip of route.vips) add(`${ip}:${route.port}`, inner)
    for (const ip of route.externalVips ?? []) add(`${ip}:${route.port}`, outer)
    if (route.nodePort !== undefined) add(`*:${route.nodePort}`, outer)
  }
  for (const { protocol, hostIp, hostPort, podIp, podPort } of table?.hostPorts ?? []) {
    if (protocol !== 'udp') continue
    add(`${hostIp === '' || hostIp === '0.0.0.0' ? '*' : hostIp}:${hostPort}`, [`${podIp}:${podPort}`])
  }
  return fronts
}

/** The flows to a front, past or present, whose endpoint the table does not name any more. */
export function staleFlows(flows: readonly Flow[], before: UdpFronts, after: UdpFronts): readonly Flow[] {
  return flows.filter(flow => {
    const keys = [`${flow.destination}:${flow.destinationPort}`, `*:${flow.destinationPort}`]
    const front = keys.find(key => after.has(key)) ?? keys.find(key => before.has(key))
    if (front === undefined) return false
    return after.get(front)?.has(`${flow.answer}:${flow.answerPort}`) !== true
  })
}
