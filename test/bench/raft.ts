// The consensus core and its wire format alone: a leader and two followers in memory, with a disk that is always done.
// Each round is one step of the leader with so many proposals, one of each follower, and the leader's step on their
// answers. What is printed is for an entry of all three members together.
import { parseArgs } from 'node:util'
import { prng } from '../../src/lib/prng.ts'
import { createRaft, type Raft, snapshotMeta, step } from '../../src/raft/raft.ts'
import { type Effects, type MemberId, memberId, type RaftEvent } from '../../src/raft/types.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/store/message.ts'

const ids = ['a', 'b', 'c'].map(memberId)
const keptCount = 5_000

export const raftBench = {
  summary:
    'µs per entry of the consensus core and its messages, without disk and network (--batches 1,16,64,256 --bytes 256)',
  async run(args: readonly string[]) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        batches: { type: 'string', default: '1,16,64,256' },
        bytes: { type: 'string', default: '256' },
        entries: { type: 'string', default: '50000' },
        runs: { type: 'string', default: '4' },
      },
    })
    const batches = values.batches.split(',').map(Number)
    const [bytes, entries, runs] = [values.bytes, values.entries, values.runs].map(Number)
    if (!bytes || !entries || !runs || batches.some(n => !(n > 0))) throw new Error('options are positive numbers')
    const rows: Row[] = []
    console.log(`${bytes}-byte commands\nper step   core µs/entry   with messages as bytes`)
    for (const batch of batches) {
      // The best of some: all that disturbs makes it worse.
      const best = (onWire: boolean) =>
        Math.min(...Array.from({ length: runs }, () => measure(batch, bytes, entries, onWire)))
      const core = best(false)
      const wire = best(true)
      rows.push({ batch, coreMicros: core, wireMicros: wire })
      console.log(`${String(batch).padStart(8)}${core.toFixed(2).padStart(16)}${wire.toFixed(2).padStart(25)}`)
    }
    return { bytes, rows }
  },
}

type Row = { readonly batch: number; readonly coreMicros: number; readonly wireMicros: number }
type Member = { readonly id: MemberId; readonly raft: Raft; inbox: RaftEvent[] }

/** CPU microseconds per entry: time would count whoever else is at work. */
function measure(batch: number, bytes: number, entries: number, onWire: boolean): number {
  const base = { index: 0, term: 0, membership: { voters: ids, learners: [], removed: [] } }
  const config = { electionTicks: 20, heartbeatTicks: 3, witness: false }
  const bounds = { inflightCountMax: 16, appendBytesMax: 1024 * 1024, uncommittedBytesMax: 32 * 1024 * 1024 }
  const random = prng(1)
  const members = ids.map((self): Member => {
    const raft = createRaft(
      { self, ...config, ...bounds },
      { hard: { term: 0, vote: undefined }, base, entries: [] },
      () => random.float(),
    )
    return { id: self, raft, inbox: [] }
  })
  const [leader] = members
  if (leader === undefined) throw new Error('no members')

  function act(member: Member): void {
    const events = member.inbox
    member.inbox = []
    const effects = step(member.raft, events)
    deliver(member, effects)
    const last = effects.commit.at(-1)
    if (last === undefined) return
    member.inbox.push({ kind: 'applied', index: last.index })
    const excess = last.index - member.raft.log.base.index - keptCount
    if (excess < keptCount) return
    member.inbox.push({ kind: 'compacted', snapshot: snapshotMeta(member.raft, last.index - keptCount) })
  }

  function deliver(from: Member, { save, sendEarly, send }: Effects): void {
    for (const { to, message } of [...sendEarly, ...send]) {
      const target = members.find(({ id }) => id === to)
      const heard = onWire
        ? decodeEnvelope(encodeEnvelope({ cluster: 'bench', from: from.id, to, message }))?.message
        : message
      if (target !== undefined && heard !== undefined)
        target.inbox.push({ kind: 'message', from: from.id, message: heard })
    }
    const last = save?.entries.at(-1)
    if (last !== undefined) from.inbox.push({ kind: 'durable', index: last.index, term: last.term })
  }

  const settle = () => {
    for (let busy = true; busy; ) {
      busy = false
      for (const member of members) {
        if (member.inbox.length === 0) continue
        busy = true
        act(member)
      }
    }
  }
  while (leader.raft.lead === undefined) {
    leader.inbox.push({ kind: 'tick' })
    settle()
  }
  const command = new Uint8Array(bytes)
  const started = process.cpuUsage()
  for (let id = 0; id < entries; ) {
    for (let i = 0; i < batch; i++) leader.inbox.push({ kind: 'propose', id: id++, command })
    settle()
  }
  const { user, system } = process.cpuUsage(started)
  if (leader.raft.commit < entries) throw new Error(`only ${leader.raft.commit} of ${entries} entries were committed`)
  return (user + system) / entries
}
