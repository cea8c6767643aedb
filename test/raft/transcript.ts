// A small language for conversations between members: each command and what came of it, as text. The files are in
// test/golden/raft: commands, a line ----, the output. After etcd-io/raft, rafttest. One line is one command:
//   voters a b c | learners d | removed e | witnesses c     the membership of the nodes that follow
//   config inflightBytesMax 100          of the nodes that follow
//   node a [term 2] [vote b] [log 1,1,2] [base 5/2] [witness]
//   random 0.5                           what every node draws from here on
//   elect a                              ticks a until it leads, and settles; says nothing, like whatever follows quietly
//   quietly settle
//   tick a [n] | tickall [n]             prints the ticks of which something came
//   propose a text | member a addLearner d [witness] | read a | transfer a [b] | unreachable a b | campaign a
//   show a                               the status
//   deliver [a>b] [kind] | drop [a>b] [kind] | settle      the messages under way (one round, none, until silence)
//   message a b kind key=value …         b receives this from a; a snapshot is written 5/2
//   hold a | release a [n]               saves of a do not, do become durable (the first n)
//   crash a | restart a                  what was not durable is gone
//   forget a 3                           its disk loses what it had from index 3 on
//   compact a 3 | sent a b ok|failed | install a b         snapshots: a installs the state of b
import { assert } from '../../src/lib/assert.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { describeEffects, describeMembership, describeMessage } from '../../src/raft/describe.ts'
import { createRaft, type Raft, snapshotMeta, status, step } from '../../src/raft/raft.ts'
import {
  type Effects,
  type Entry,
  type HardState,
  type MemberId,
  type Membership,
  type MembershipStep,
  type Message,
  memberId,
  type RaftEvent,
  type SnapshotMeta,
} from '../../src/raft/types.ts'

type Node = {
  readonly id: MemberId
  readonly witness: boolean
  raft: Raft
  up: boolean
  hard: HardState
  base: SnapshotMeta
  entries: Entry[]
  /** Effects whose save is held back. */
  held: Effects[] | undefined
}
type Flight = { readonly from: MemberId; readonly to: MemberId; readonly message: Message }

export function createTranscript(): { run(line: string): string } {
  const nodes = new Map<MemberId, Node>()
  let membership: Membership = { voters: [], learners: [], removed: [] }
  let flights: Flight[] = []
  let drawn = 0
  let nextId = 1
  let out: string[] = []
  const bounds = { inflightCountMax: 3, appendBytesMax: 120, uncommittedBytesMax: 400 }

  const node = (name: string | undefined): Node => {
    const found = nodes.get(memberId(name ?? ''))
    assert(found !== undefined, `no node ${name}`)
    return found
  }
  const configFor = (self: MemberId, witness: boolean) => ({
    self,
    electionTicks: 10,
    heartbeatTicks: 2,
    ...bounds,
    witness,
  })

  function start(one: Node): void {
    const { hard, base, entries } = one
    one.raft = createRaft(configFor(one.id, one.witness), { hard, base, entries }, () => drawn)
    one.up = true
    one.held = one.held === undefined ? undefined : []
  }

  function addNode(name: string, options: string[]): void {
    const value = (key: string) => (options.includes(key) ? options[options.indexOf(key) + 1] : undefined)
    const [index = 0, term = 0] = (value('base') ?? '0/0').split('/').map(Number)
    const terms = (value('log') ?? '').split(',').filter(Boolean).map(Number)
    const entries = terms.map((entryTerm, i): Entry => ({ index: index + 1 + i, term: entryTerm, kind: 'empty' }))
    const vote = value('vote')
    const hard = {
      term: Number(value('term') ?? entries.at(-1)?.term ?? term),
      vote: vote === undefined ? undefined : memberId(vote),
    }
    const id = memberId(name)
    const base = { index, term, membership }
    const witness = options.includes('witness')
    const raft = createRaft(configFor(id, witness), { hard, base, entries }, () => drawn)
    nodes.set(id, { id, witness, raft, up: true, hard, base, entries, held: undefined })
  }

  /** One step and, unless saves are held, the news that they are durable. */
  function act(one: Node, events: readonly RaftEvent[]): void {
    const effects = step(one.raft, events)
    for (const line of describeEffects(effects)) out.push(`  ${one.id}: ${line}`)
    for (const { to, message } of effects.sendEarly) flights.push({ from: one.id, to, message })
    const { held } = one
    const waits = held !== undefined && (effects.save !== undefined || (held.length > 0 && effects.send.length > 0))
    if (waits) held.push(effects)
    else finish(one, effects)
  }

  function finish(one: Node, { save, send }: Effects): void {
    if (save !== undefined) {
      one.hard = save.hard
      const [first] = save.entries
      if (first !== undefined)
        one.entries = [...one.entries.filter(({ index }) => index < first.index), ...save.entries]
    }
    for (const { to, message } of send) flights.push({ from: one.id, to, message })
    const last = save?.entries.at(-1)
    if (last !== undefined) act(one, [{ kind: 'durable', index: last.index, term: last.term }])
  }

  const matches = (flight: Flight, [what, ...more]: string[]): boolean => {
    if (what === undefined) return true
    if (!what.includes('>')) return flight.message.kind === what && matches(flight, more)
    const [from, to] = what.split('>')
    return (from === '' || from === flight.from) && (to === '' || to === flight.to) && matches(flight, more)
  }

  function take(pattern: string[]): Flight[] {
    const taken = flights.filter(flight => matches(flight, pattern))
    flights = flights.filter(flight => !taken.includes(flight))
    return taken
  }

  function deliver(pattern: string[]): number {
    const taken = take(pattern)
    for (const { from, to, message } of taken) {
      const target = nodes.get(to)
      const lost = target === undefined || !target.up
      out.push(`${from}>${to} ${describeMessage(message)}${lost ? ' (lost)' : ''}`)
      if (target !== undefined && target.up) act(target, [{ kind: 'message', from, message }])
    }
    return taken.length
  }

  function tick(one: Node, count: number): void {
    for (let i = 1; i <= count; i++) {
      const before = out.length
      if (one.up) act(one, [{ kind: 'tick' }])
      if (out.length > before) out.splice(before, 0, `tick ${i}`)
    }
  }

  /** A list of entries is written 2/3,3/3, one that makes a and b the voters 4/3:a+b; a snapshot 5/2. */
  function field(key: string, text: string): unknown {
    if (key !== 'entries') return parse(text)
    return text.split(',').map(entry => {
      const [place = '', voters] = entry.split(':')
      const [index = 0, term = 0] = place.split('/').map(Number)
      if (voters === undefined) return { index, term, kind: 'empty' }
      const named: Membership = { voters: voters.split('+').map(memberId), learners: [], removed: [] }
      return { index, term, kind: 'membership', membership: named, context: utf8('') }
    })
  }

  function parse(text: string): unknown {
    if (text === 'true' || text === 'false') return text === 'true'
    const [index = 0, term] = text.split('/').map(Number)
    if (term !== undefined) return { index, term, membership }
    return Number.isNaN(Number(text)) ? text : Number(text)
  }

  function command([name = '', first, ...rest]: string[]): void {
    const second = rest[0]
    switch (name) {
      case 'voters':
        membership = { ...membership, voters: [first ?? '', ...rest].map(memberId) }
        break
      case 'learners':
      case 'removed':
      case 'witnesses':
        membership = { ...membership, [name]: [first ?? '', ...rest].map(memberId) }
        break
      case 'config':
        Object.assign(bounds, { [first ?? '']: Number(second) })
        break
      case 'quietly':
        command([first ?? '', ...rest])
        out = []
        break
      case 'elect':
        for (let i = 0; i < 20 && status(node(first).raft).role.kind !== 'leader'; i++) {
          act(node(first), [{ kind: 'tick' }])
          while (flights.length > 0) deliver([])
        }
        assert(status(node(first).raft).role.serving, `${first} was not elected`)
        out = []
        break
      case 'node':
        addNode(first ?? '', rest)
        break
      case 'random':
        drawn = Number(first)
        break
      case 'tick':
        tick(node(first), Number(second ?? 1))
        break
      case 'tickall':
        for (let i = 0; i < Number(first ?? 1); i++)
          for (const one of nodes.values()) if (one.up) act(one, [{ kind: 'tick' }])
        break
      case 'propose':
        act(
          node(first),
          rest.map(text => ({ kind: 'propose', id: nextId++, command: utf8(text) }) as const),
        )
        break
      case 'member': {
        const witness = rest[2] === 'witness' ? { witness: true } : {}
        const change = { kind: second, member: memberId(rest[1] ?? ''), ...witness } as MembershipStep
        act(node(first), [{ kind: 'proposeMembership', id: nextId++, change, context: utf8('') }])
        break
      }
      case 'read':
        act(node(first), [{ kind: 'read', id: nextId++ }])
        break
      case 'transfer':
        act(node(first), [{ kind: 'transfer', to: second === undefined ? undefined : memberId(second), id: nextId++ }])
        break
      case 'campaign':
        act(node(first), [{ kind: 'campaign' }])
        break
      case 'unreachable':
        act(node(first), [{ kind: 'unreachable', member: memberId(second ?? '') }])
        break
      case 'show': {
        const { role, vote, commit, base, lastIndex, durable, membership: now } = status(node(first).raft)
        const serving = role.serving ? ' serving' : ''
        out.push(`${role.kind} t${role.term} vote ${vote ?? '-'} leader ${role.leader ?? '-'}${serving}`)
        out.push(
          `log after ${base.index} to ${lastIndex}, commit ${commit}, durable ${durable}, ${describeMembership(now)}`,
        )
        break
      }
      case 'deliver':
        deliver(first === undefined ? [] : [first, ...rest])
        break
      case 'drop':
        for (const { from, to, message } of take(first === undefined ? [] : [first, ...rest])) {
          out.push(`${from}>${to} ${describeMessage(message)} (dropped)`)
        }
        break
      case 'settle':
        for (let i = 0; i < 50 && flights.length > 0; i++) deliver([])
        assert(flights.length === 0, 'the conversation does not end')
        break
      case 'message': {
        const [kind, ...pairs] = rest.slice(1)
        const fields = Object.fromEntries(
          pairs.map(pair => pair.split('=')).map(([key = '', text = '']) => [key, field(key, text)]),
        )
        const message = { kind, ...(kind === 'append' ? { entries: [] } : {}), ...fields } as unknown as Message
        act(node(second), [{ kind: 'message', from: memberId(first ?? ''), message }])
        break
      }
      case 'hold':
        node(first).held = []
        break
      case 'release': {
        const one = node(first)
        const { held = [] } = one
        let left = Number(second ?? held.length)
        // What was said after a save, and waited for it only, leaves with it.
        const end = held.findIndex(({ save }) => save !== undefined && left-- === 0)
        if (second === undefined) one.held = undefined
        for (const effects of held.splice(0, end < 0 ? held.length : end)) finish(one, effects)
        break
      }
      case 'crash':
        node(first).up = false
        break
      case 'restart':
        start(node(first))
        break
      case 'forget':
        node(first).entries = node(first).entries.filter(({ index }) => index < Number(second))
        break
      case 'compact': {
        const one = node(first)
        const snapshot = snapshotMeta(one.raft, Number(second))
        one.entries = one.entries.filter(({ index }) => index > snapshot.index)
        one.base = snapshot
        act(one, [{ kind: 'compacted', snapshot }])
        break
      }
      case 'sent':
        act(node(first), [{ kind: 'snapshotSent', to: memberId(second ?? ''), ok: rest[1] === 'ok', index: 0 }])
        break
      case 'install': {
        const one = node(first)
        const source = node(second).raft
        const snapshot = snapshotMeta(source, status(source).commit)
        one.base = snapshot
        one.entries = []
        act(one, [{ kind: 'installed', snapshot }])
        break
      }
      default:
        throw new Error(`unknown command ${name}`)
    }
  }

  return {
    run(line) {
      out = []
      command(line.split(' ').filter(Boolean))
      return out.join('\n')
    },
  }
}

/** Runs a whole file; the answer is the file as it should read. */
export function replay(file: string): string {
  const transcript = createTranscript()
  const result: string[] = []
  for (const block of file.trim().split(/\n\n+/)) {
    const commands = block.split('\n----')[0]?.split('\n') ?? []
    const output: string[] = []
    for (const line of commands) {
      if (line.startsWith('#') || line.trim() === '') continue
      const text = transcript.run(line)
      if (text !== '') output.push(text)
    }
    result.push(output.length === 0 ? commands.join('\n') : `${commands.join('\n')}\n----\n${output.join('\n')}`)
  }
  return `${result.join('\n\n')}\n`
}
