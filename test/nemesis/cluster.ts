// The five members together: who leads, and whether all is well again.
import { prng } from '../../src/lib/prng.ts'
import type { Operation } from '../check/history.ts'
import { decodeHash, encodeHash, paths, type Status } from './api.ts'
import { now, sleep } from './command.ts'
import { keyPrefix, perform, type Recorder } from './load.ts'
import type { Member } from './member.ts'
import type { SystemUnderTest } from './systems.ts'

const pollMs = 50

export class Cluster {
  readonly system: SystemUnderTest
  readonly members: readonly Member[]

  constructor(system: SystemUnderTest, members: readonly Member[]) {
    this.system = system
    this.members = members
  }

  async statuses(): Promise<readonly { readonly member: Member; readonly status: Status }[]> {
    const asked = this.members.map(async member => {
      const status = member.isRunning && !member.isPaused() ? await member.status() : undefined
      return status === undefined ? [] : [{ member, status }]
    })
    return (await Promise.all(asked)).flat()
  }

  /** Who says of itself that it leads, in the highest term; undefined when nobody does. */
  async leader(): Promise<Member | undefined> {
    const leading = (await this.statuses()).filter(
      ({ status }) => status.leader === status.member && status.leader !== '0',
    )
    return leading.toSorted((a, b) => b.status.term - a.status.term)[0]?.member
  }

  /** The same, waiting for one. Throws after a while. */
  async requireLeader(withinMs = 15_000): Promise<Member> {
    const endMs = performance.now() + withinMs
    for (;;) {
      const leader = await this.leader()
      if (leader !== undefined) return leader
      if (performance.now() > endMs) throw new Error(`nobody leads after ${withinMs} ms`)
      await sleep(pollMs)
    }
  }

  /** Members that run but do not lead, in an order by chance. */
  async followers(seed: number): Promise<readonly Member[]> {
    const leader = await this.requireLeader()
    const random = prng(seed)
    return this.members
      .filter(member => member !== leader && member.isRunning)
      .map(member => ({ member, lot: random.float() }))
      .toSorted((a, b) => a.lot - b.lot)
      .map(({ member }) => member)
  }

  /** Starts what does not run, and waits until every member serves linearizable reads. Says what is still wrong, if anything. */
  async heal(withinMs: number): Promise<string | undefined> {
    const endMs = performance.now() + withinMs
    for (const member of this.members) {
      member.resume()
      if (!member.isRunning) await member.start()
    }
    let sick = 'nobody was asked'
    while (performance.now() < endMs) {
      const answers = await Promise.all(this.members.map(member => this.complaint(member)))
      sick = answers.filter(answer => answer !== undefined).join('; ')
      if (sick === '') return undefined
      // Whoever ended while it was being healed is started again; why it ended is counted elsewhere.
      for (const member of this.members) if (!member.isRunning) await member.start()
      await sleep(pollMs)
    }
    return sick
  }

  private async complaint(member: Member): Promise<string | undefined> {
    if (!member.isRunning) return `${member.name} does not run`
    const recorder = { add: () => {} }
    const read = { kind: 'get', key: `${keyPrefix}k0` } as const
    const { outcome } = await perform(recorder, -1, member.channel, member.label, read)
    if (outcome.kind !== 'done') return `${member.name} does not answer`
    const status = await member.status()
    return status === undefined || status.isLearner ? `${member.name} is not a voter` : undefined
  }

  /** A write that has to succeed after all is healed: its revision. Undefined when it does not. */
  async tombstone(recorder: Recorder, withinMs: number): Promise<number | undefined> {
    const endMs = performance.now() + withinMs
    while (performance.now() < endMs) {
      for (const member of this.members) {
        const put = { kind: 'put', key: `${keyPrefix}tombstone`, value: recorder.value(200) } as const
        const { outcome } = await perform(recorder, 200, member.channel, member.label, put)
        if (outcome.kind === 'done' && outcome.response.kind === 'put') return outcome.response.revision
      }
      await sleep(pollMs)
    }
    return undefined
  }

  /** The hash of all members at one revision; a member that has not got there is asked again. */
  async hashes(revision: number, withinMs: number): Promise<readonly { member: string; hash: string }[]> {
    const endMs = performance.now() + withinMs
    const hashOf = async (member: Member): Promise<{ member: string; hash: string }> => {
      let why = 'no time'
      while (performance.now() < endMs) {
        const reply = await member.channel.unary(paths.hash, encodeHash(revision), 5_000)
        if (reply.kind === 'answer') {
          const { hash, compacted } = decodeHash(reply.bytes)
          return { member: member.name, hash: `${hash} above ${compacted}` }
        }
        why = reply.kind === 'status' ? reply.text : reply.why
        await sleep(pollMs)
      }
      return { member: member.name, hash: `none: ${why}` }
    }
    return await Promise.all(this.members.map(hashOf))
  }
}

/** Compacts all that is a little older than what the watchers have seen, again and again. */
export class Compactor {
  private isStopping = false
  private loop: Promise<void> | undefined
  private readonly members: readonly Member[]
  private readonly recorder: Recorder

  constructor(members: readonly Member[], recorder: Recorder) {
    this.members = members
    this.recorder = recorder
  }

  /** `newest`: the newest revision that is safe with the watchers. */
  start(seed: number, newest: () => number): void {
    this.loop = this.run(seed, newest)
  }

  async stop(): Promise<void> {
    this.isStopping = true
    await this.loop
  }

  private async run(seed: number, newest: () => number): Promise<void> {
    const random = prng(seed * 1_000 + 900)
    let last = 0
    while (!this.isStopping) {
      await sleep(200)
      const revision = newest() - 50 - random.below(100)
      const member = this.members[random.below(this.members.length)]
      if (revision <= last || !member?.isRunning) continue
      const { outcome }: Operation = await perform(this.recorder, 300, member.channel, member.label, {
        kind: 'compact',
        revision,
      })
      if (outcome.kind !== 'failed') last = revision
    }
  }
}

/** Milliseconds, for people. */
export const sinceMs = (startUs: number) => Math.round((now() - startUs) / 1000)
