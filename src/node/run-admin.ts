// What people and other peers may ask of this member: admission, leaving and removing, backups where the peers keep the state,
// and the control socket that the commands use. On the leader, what only it does.
import type { Apiserver } from '../apiserver/run.ts'
import { type Authority, certificateHash } from '../drivers/pki.ts'
import type { Gossip } from '../gossip/gossip.ts'
import { aborted } from '../lib/abort.ts'
import { openAdmission } from './run-admission.ts'
import { openBackupAdmin } from './run-backup-admin.ts'
import { type ControlHandler, Told } from './run-control.ts'
import type { Fitness } from './run-fitness.ts'
import { runLeaderTasks } from './run-leader.ts'
import { type LeaveParts, leave, remove, serveLeave } from './run-leave.ts'
import type { Member, Peer } from './run-member.ts'
import type { Members } from './run-members.ts'
import { noSeats, raftSeats } from './run-seats.ts'
import type { StatusReport } from './status.ts'

const controlMs = 25_000

export type AdminParts = {
  readonly peer: Peer
  readonly member: Member
  readonly apiserver: Apiserver
  readonly members: Members
  readonly gossip: Gossip
  readonly fitness: Fitness
  readonly authority: Authority
  readonly program: string
  readonly report: () => StatusReport
}

/** Until the signal. */
export async function runAdmin(admin: AdminParts, signal: AbortSignal): Promise<void> {
  const { peer, member, apiserver, members, gossip, fitness, authority, report, program } = admin
  const { questions, config, control } = peer
  const { world, store, embedded, cluster } = member
  const client = apiserver.client({ user: 'flotilla:admission', groups: ['system:masters'] })
  using seats = embedded === undefined ? noSeats(world) : raftSeats(world, embedded, questions, signal)
  const caPem = authority.certificatePem
  const parts = { world, client, store, cluster, questions, seats, caPem, caHash: certificateHash(caPem) }
  using admission = openAdmission(parts)
  const leaving: LeaveParts = {
    ...parts,
    nodeName: cluster.nodeName,
    gossip: () => gossip.view(),
  }
  using _leave = serveLeave(leaving, signal)

  const handle: ControlHandler = async (method, path, body, gone) => {
    const until = AbortSignal.any([signal, gone])
    using deadline = world.clock.deadline(controlMs, until)
    const said = (body ?? {}) as Readonly<Record<string, unknown>>
    switch (`${method} ${path}`) {
      case 'GET /status':
        return report()
      case 'GET /tokens':
        return await admission.listTokens(deadline.signal)
      case 'POST /tokens': {
        const { ttlMs, replaces } = said
        if (typeof ttlMs !== 'number' || !(ttlMs > 0)) throw new Error('ttlMs must be a number of milliseconds')
        const instead = typeof replaces === 'string' ? replaces : undefined
        const made = await admission.createToken(ttlMs, instead, deadline.signal)
        return { ...made, ...(config.datastore !== undefined && { datastore: config.datastore.endpoints }) }
      }
      case 'POST /leave':
        return new Told(async say => {
          await leave(leaving, said['abandonPods'] === true, say, signal)
          member.left()
        })
      case 'POST /remove':
        return new Told(say => remove(leaving, String(said['target']), said['force'] === true, say, signal))
      default:
        if (method !== 'DELETE' || !path.startsWith('/tokens/')) return undefined
        await admission.revokeToken(decodeURIComponent(path.slice('/tokens/'.length)), deadline.signal)
        return {}
    }
  }
  using _control = control.use(handle)
  using backups = embedded && openBackupAdmin({ peer, member, store: embedded, members, client, program }, signal)
  using _backups = backups && control.use(backups.handle)
  await runLeaderTasks(
    {
      ...{ world, store, apiserver, gossip, members, fitness, authority, cluster, config },
      ...(backups !== undefined && { schedule: inner => backups.schedule(inner) }),
    },
    signal,
  )
  await aborted(signal)
}
