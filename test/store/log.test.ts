// What a start makes of a log that a crash or a bad disk has touched (reliability-security.md A5, A6, D4): the exact
// prefix that was acknowledged, or a refusal; never a hole, never a lower term, never an empty store.
import { expect, test } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { prng } from '../../src/lib/prng.ts'
import { type Entry, type HardState, memberId } from '../../src/raft/types.ts'
import { decodeSlot, encodeSlot, type Identity, type LogState, StoreDamage, slotBytes } from '../../src/store/log.ts'
import { openLog, type RunLog } from '../../src/store/run-log.ts'
import type { Log } from '../../src/world/log.ts'
import { type MemoryDisk, memoryDisk } from './disk.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const identity: Identity = { cluster: 'c', member: memberId('me') }
// Most tests look at every byte of the file, so they leave out the zeros ahead; the crashes try both.
const open = (disk: MemoryDisk, who = identity, ahead = 0) => openLog(disk, who, silent, { zeroBytesAhead: ahead })
const entry = (index: number, term: number, size = 20): Entry =>
  index % 7 === 3
    ? {
        index,
        term,
        kind: 'membership',
        membership: { voters: [memberId('me')], learners: [], removed: [] },
        context: utf8('x'),
      }
    : { index, term, kind: 'command', command: utf8(`${index}/${term}`.padEnd(size, '.')) }

type Known = { hard: HardState; last: number; terms: Map<number, number> }
const segmentPath = 'log/0000000000000001'

/** Three terms, two votes, one conflict, one batch per line; everything marked at the end. */
async function fill(log: RunLog): Promise<void> {
  await log.append({ hard: { term: 1, vote: undefined }, entries: [entry(1, 1)] })
  await log.append({ entries: [entry(2, 1), entry(3, 1), entry(4, 1)] })
  await log.append({ hard: { term: 2, vote: memberId('you') }, entries: [] })
  await log.append({ entries: [entry(4, 2), entry(5, 2)] })
  await log.append({ hard: { term: 3, vote: memberId('me') }, entries: [entry(6, 3)] })
  for (let i = 7; i < 20; i++) await log.append({ entries: [entry(i, 3)] })
  await log.mark()
}

async function outcome(disk: MemoryDisk): Promise<LogState | StoreDamage['found'] | 'empty'> {
  try {
    const { found, state } = await open(disk)
    return found === 'new' || found === 'unused' ? 'empty' : state
  } catch (error) {
    if (error instanceof StoreDamage) return error.found
    throw error
  }
}

async function filled(): Promise<{ disk: MemoryDisk; state: LogState }> {
  const disk = memoryDisk()
  const { log, found } = await open(disk)
  expect(found).toBe('new')
  await fill(log)
  return { disk, state: (await open(disk.copy())).state }
}

function withFile(disk: MemoryDisk, name: string, bytes: Uint8Array | undefined): MemoryDisk {
  const copy = disk.copy()
  if (bytes === undefined) copy.files.delete(name)
  else copy.files.set(name, { durable: bytes, now: bytes, pending: [] })
  return copy
}

test('a log gives back what it was given, with the conflicting tail replaced', async () => {
  const { state } = await filled()
  expect(state.hard).toEqual({ term: 3, vote: 'me' })
  expect(state.entries.map(e => e.index)).toEqual(Array.from({ length: 19 }, (_, i) => i + 1))
  expect(state.entries[3]).toEqual(entry(4, 2))
})

test('cut at every byte, a marked log is refused; nothing acknowledged is ever quietly gone', async () => {
  const { disk, state } = await filled()
  const whole = disk.files.get(segmentPath)?.now ?? new Uint8Array()
  for (let n = 0; n < whole.length; n++) {
    const result = await outcome(withFile(disk, segmentPath, whole.slice(0, n)))
    expect(result === 'missing' || result === 'corrupt', `cut at ${n}: ${JSON.stringify(result)}`).toBe(true)
  }
  expect(await outcome(withFile(disk, segmentPath, whole))).toEqual(state)
})

test('cut after its watermark, a log is an exact prefix: that is a power cut', async () => {
  const { disk, state } = await filled()
  const marked = (disk.files.get(segmentPath)?.now ?? new Uint8Array()).length
  const { log } = await open(disk)
  await log.append({ entries: [entry(20, 3), entry(21, 3)] })
  const whole = disk.files.get(segmentPath)?.now ?? new Uint8Array()
  for (let n = marked; n < whole.length; n++) {
    const copy = withFile(disk, segmentPath, whole.slice(0, n))
    expect(await outcome(copy)).toEqual(state)
    // The repair is done once and for all.
    expect((await open(copy)).found).toBe('clean')
  }
})

test('zeros ahead are no content: they are found clean, and damage in front of them is still told apart', async () => {
  const disk = memoryDisk()
  const { log } = await open(disk, identity, 5_000)
  await fill(log)
  const { found, state } = await open(disk.copy(), identity, 5_000)
  expect(found).toBe('clean')
  const whole = disk.files.get(segmentPath)?.now ?? new Uint8Array()
  const end = whole.findLastIndex(byte => byte !== 0) + 1
  expect(whole.length - end).toBeGreaterThan(1_000)
  const torn = whole.slice()
  torn.fill(7, end + 10, end + 20)
  const repaired = withFile(disk, segmentPath, torn)
  expect((await open(repaired)).found).toBe('torn')
  expect(await outcome(repaired)).toEqual(state)
  expect(await outcome(withFile(disk, segmentPath, torn.fill(0, end - 30)))).toBe('corrupt')
})

test('a crash may spoil the zeros of the next segment as well as the write under way', async () => {
  const { disk, state } = await filled()
  const whole = disk.files.get(segmentPath)?.now ?? new Uint8Array()
  const torn = new Uint8Array(whole.length + 200)
  torn.set(whole)
  torn.fill(7, whole.length, whole.length + 100)
  const next = 'log/0000000000000002'
  const spoilt = withFile(withFile(disk, segmentPath, torn), next, new Uint8Array(500).fill(9, 40, 44))
  const { found, state: kept, log } = await open(spoilt)
  expect(found).toBe('torn')
  expect(kept).toEqual(state)
  await log.append({ entries: [entry(20, 3)] })
  expect((await open(spoilt.copy())).state.entries).toHaveLength(20)
})

test('any flipped bit of a marked log is refused, or changes nothing', async () => {
  const { disk, state } = await filled()
  const whole = disk.files.get(segmentPath)?.now ?? new Uint8Array()
  for (let bit = 0; bit < whole.length * 8; bit += 17) {
    const bent = whole.slice()
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const result = await outcome(withFile(disk, segmentPath, bent))
    expect(
      result === 'corrupt' || result === 'missing',
      `bit ${bit}: ${JSON.stringify(result)} ${state.hard.term}`,
    ).toBe(true)
  }
})

test('a flipped bit before the last batch is refused even when nothing was marked', async () => {
  const { disk } = await filled()
  const { log } = await open(disk)
  const marked = (disk.files.get(segmentPath)?.now ?? new Uint8Array()).length
  await log.append({ entries: [entry(20, 3)] })
  const second = (disk.files.get(segmentPath)?.now ?? new Uint8Array()).length
  await log.append({ entries: [entry(21, 3)] })
  const whole = disk.files.get(segmentPath)?.now ?? new Uint8Array()
  for (let bit = marked * 8; bit < second * 8; bit++) {
    const bent = whole.slice()
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(await outcome(withFile(disk, segmentPath, bent)), `bit ${bit}`).toBe('corrupt')
  }
})

test('any flipped bit of the watermark costs nothing: the other slot and the log still prove what was kept', async () => {
  const { disk, state } = await filled()
  const whole = disk.files.get('watermark')?.now ?? new Uint8Array()
  for (let bit = 0; bit < whole.length * 8; bit += 101) {
    const bent = whole.slice()
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(await outcome(withFile(disk, 'watermark', bent))).toEqual(state)
  }
})

test('what is gone as a whole is missing, never an empty store', async () => {
  const { disk } = await filled()
  expect(await outcome(withFile(disk, 'watermark', undefined))).toBe('missing')
  expect(await outcome(withFile(disk, 'watermark', new Uint8Array(slotBytes * 2)))).toBe('missing')
  expect(await outcome(withFile(disk, segmentPath, undefined))).toBe('missing')
  expect(await outcome(withFile(disk, segmentPath, new Uint8Array(0)))).toBe('missing')
})

test('the folder of another member is refused', async () => {
  const { disk } = await filled()
  await expect(open(disk, { ...identity, member: memberId('other') })).rejects.toMatchObject({ found: 'foreign' })
  await expect(open(disk, { ...identity, cluster: 'other' })).rejects.toMatchObject({ found: 'foreign' })
})

test('segments roll over, are dropped from the front, and a lost one is noticed', async () => {
  const disk = memoryDisk()
  const { log } = await openLog(disk, identity, silent, { zeroBytesAhead: 0, segmentBytesMax: 16 * 1024 })
  const size = 3 * 1024
  for (let i = 1; i <= 24; i++) await log.append({ entries: [entry(i, 1, size)] })
  await log.mark()
  expect((await disk.list('log')).length).toBe(4)
  expect((await open(disk.copy())).state.entries).toHaveLength(24)
  for (const name of await disk.list('log')) {
    const result = await outcome(withFile(disk, `log/${name}`, undefined))
    // Without the first one the log only begins later: the applied state says whether that may be (run-boot.ts).
    if (name.endsWith('1')) expect(result).toMatchObject({ base: { index: expect.any(Number) } })
    else expect(result, name).toBe('missing')
  }
  await log.drop(12)
  const { state } = await open(disk.copy())
  expect(state.base.index).toBeGreaterThan(5)
  expect(state.base.index).toBeLessThanOrEqual(12)
  expect(state.entries[0]?.index).toBe(state.base.index + 1)
  await log.append({ entries: [entry(25, 1)] })
  expect((await open(disk.copy())).state.entries.at(-1)?.index).toBe(25)
})

test('an installed snapshot begins the log anew, in one append', async () => {
  const { disk } = await filled()
  const { log } = await open(disk)
  await log.append({ base: { index: 100, term: 3, generation: 1, keep: false }, entries: [entry(101, 3)] })
  const { state } = await open(disk.copy())
  expect(state).toMatchObject({ base: { index: 100, term: 3 }, generation: 1 })
  expect(state.entries.map(e => e.index)).toEqual([101])
})

test('crashes at any moment, again and again: what was acknowledged is there, terms never fall', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = prng(seed)
    let disk = memoryDisk()
    disk.isQuick = seed % 3 === 0
    const known: Known = { hard: { term: 0, vote: undefined }, last: 0, terms: new Map() }
    for (let life = 0; life < 5; life++) {
      const { log, state } = await open(disk, identity, seed % 2 === 0 ? 0 : 3_000)
      const context = `seed ${seed}, life ${life}`
      expect(state.hard.term, context).toBeGreaterThanOrEqual(known.hard.term)
      if (state.hard.term === known.hard.term) expect(state.hard.vote, context).toBe(known.hard.vote)
      const terms = new Map(state.entries.map(e => [e.index, e.term]))
      // An append under way at the crash may be there or not; what was acknowledged before it is there.
      for (const [index, term] of known.terms)
        expect(terms.get(index) ?? 0, `${context}, index ${index}`).toBeGreaterThanOrEqual(term)
      known.hard = state.hard
      known.last = state.entries.at(-1)?.index ?? 0
      known.terms = terms
      const writing = (async () => {
        for (let i = 0; i < 6; i++) {
          const isVote = random.chance(0.3)
          const hard = isVote ? { term: known.hard.term + 1, vote: memberId(`v${random.below(3)}`) } : known.hard
          const lastTerm = known.terms.get(known.last) ?? 0
          const from = random.chance(0.2) && known.last > 1 && hard.term > lastTerm ? known.last : known.last + 1
          const count = random.below(4)
          const entries = Array.from({ length: count }, (_, k) => entry(from + k, hard.term, 20 + random.below(2_000)))
          if (random.chance(0.2)) await log.mark()
          await log.append({ ...(isVote ? { hard } : {}), entries })
          known.hard = hard
          for (const e of entries) known.terms.set(e.index, e.term)
          if (count > 0) {
            known.last = from + count - 1
            for (const index of known.terms.keys()) if (index > known.last) known.terms.delete(index)
          }
        }
      })()
      let isDone = false
      void writing.then(() => {
        isDone = true
      })
      for (let n = random.below(80); n > 0 && !isDone; n--) await Promise.resolve()
      disk = disk.crash(random)
      disk.isQuick = random.chance(0.3)
    }
  }
})

test('on a quick disk an append is durable when the call comes back, unless it begins a segment or a term', async () => {
  const disk = memoryDisk()
  const { log } = await open(disk, identity, 4_096)
  await log.begin()
  disk.isQuick = true
  const first = log.append({ entries: [entry(1, 1)] })
  expect(first).toBeInstanceOf(Promise)
  await first
  expect(log.append({ entries: [entry(2, 1)] })).toBeUndefined()
  expect(log.unmarked).toBe(true)
  expect((await open(disk.copy())).state.entries).toHaveLength(2)
  const vote = log.append({ hard: { term: 2, vote: undefined }, entries: [] })
  expect(vote).toBeInstanceOf(Promise)
  await vote
  expect(log.unmarked).toBe(false)
})

test('a disk that fails at any operation fails the append, and what was acknowledged before is there after', async () => {
  for (let at = 0; at < 40; at++) {
    const disk = memoryDisk()
    const { log } = await open(disk)
    disk.failAfter(at)
    let acknowledged = 0
    const appends = (async () => {
      for (let i = 1; i <= 10; i++) {
        await log.append({
          ...(i % 4 === 1 ? { hard: { term: i, vote: undefined } } : {}),
          entries: [entry(i, i - ((i - 1) % 4))],
        })
        acknowledged = i
      }
    })()
    await appends.catch(error => expect(error).toMatchObject({ message: expect.stringContaining('EIO') }))
    const after = await open(disk.crash(prng(at)))
    expect(after.state.entries.length).toBeGreaterThanOrEqual(acknowledged)
  }
})

test('a watermark slot survives a round trip and refuses names that do not fit', () => {
  const mark = {
    sequence: 7,
    identity,
    hard: { term: 3, vote: undefined },
    segment: 2,
    end: 99,
    crc: 0xffffffff,
    lastIndex: 5,
  }
  expect(decodeSlot(encodeSlot(mark))).toEqual(mark)
  expect(() => encodeSlot({ ...mark, identity: { ...identity, cluster: 'x'.repeat(2_000) } })).toThrow('too long')
})

test('a conflict may reach back before the oldest segment that is left', async () => {
  const disk = memoryDisk()
  const { log } = await openLog(disk, identity, silent, { zeroBytesAhead: 0, segmentBytesMax: 1 })
  await log.append({ hard: { term: 1, vote: undefined }, entries: [entry(1, 1), entry(2, 1)] })
  await log.append({ entries: [entry(3, 1), entry(4, 1), entry(5, 1)] })
  await log.append({ hard: { term: 2, vote: undefined }, entries: [entry(4, 2), entry(5, 2), entry(6, 2)] })
  // All up to 5 is applied: the segments that end there may go, also the one whose end was replaced.
  await log.drop(5)
  await log.mark()
  const { state, found } = await openLog(disk.copy(), identity, silent, { zeroBytesAhead: 0, segmentBytesMax: 1 })
  expect(found).toBe('clean')
  expect(state.base.index).toBe(3)
  expect(state.entries.map(({ index, term }) => `${index}/${term}`)).toEqual(['4/2', '5/2', '6/2'])
})
