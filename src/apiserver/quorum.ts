// `kubectl get quorum`: one object per peer that says what part it has in deciding, and why. It is made when it is asked for,
// from what the leader knows, and cannot be written. Not Kubernetes' own: flotilla.dev/v1.
import { defineKind, type ObjectOf } from '../api/kind.ts'
import { s } from '../api/schema.ts'
import { objectMeta } from '../api/types/meta.ts'
import { humanDuration } from '../lib/duration.ts'

const quorumStatus = s.object('dev.flotilla.v1.QuorumStatus', {
  peer: s.string(1, { description: 'The libp2p peer ID.' }),
  role: s.string(2, {
    description: 'Leader, Voter, Learner, Witness, None; with an external etcd Leader, Present, None.',
  }),
  state: s.string(3, { description: 'What gossip says of the peer: Alive, Suspect, Dead, Left, Unknown.' }),
  matchIndex: s.int64(4, { description: 'How far its log matches the leader’s. Absent when no leader answers.' }),
  syncP99Microseconds: s.int64(5, { description: 'The 99th percentile of its disk’s syncs.' }),
  roundTripP90Microseconds: s.int64(6, { description: 'The 90th percentile of the way from the leader and back.' }),
  uptimeSeconds: s.int64(7, { description: 'For how long its agent runs.' }),
  why: s.string(8, { description: 'Why it has this part.' }),
})

const quorumSchema = s.object('dev.flotilla.v1.Quorum', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  status: s.of(2, quorumStatus, { stored: true }),
})

const unknown = '<unknown>'

function milliseconds(microseconds: number | undefined): string {
  return microseconds === undefined ? unknown : `${(microseconds / 1_000).toFixed(1)}ms`
}

function uptime(seconds: number | undefined): string {
  return seconds === undefined ? unknown : humanDuration(seconds * 1_000)
}

export const quorum = defineKind({
  group: 'flotilla.dev',
  version: 'v1',
  kind: 'Quorum',
  plural: 'quorums',
  shortNames: [],
  scope: 'Cluster',
  stored: false,
  readOnly: true,
  schema: quorumSchema,
  ageColumn: false,
  columns: () => [
    {
      name: 'Peer',
      type: 'string',
      description: 'The end of the peer ID.',
      cell: one => `…${one.status.peer?.slice(-8) ?? ''}`,
    },
    { name: 'Node', type: 'string', format: 'name', cell: ({ metadata }) => metadata.name },
    { name: 'Role', type: 'string', cell: ({ status }) => status.role ?? '' },
    { name: 'State', type: 'string', cell: ({ status }) => status.state ?? '' },
    { name: 'Match', type: 'string', cell: ({ status }) => String(status.matchIndex ?? unknown) },
    { name: 'Sync P99', type: 'string', cell: ({ status }) => milliseconds(status.syncP99Microseconds) },
    { name: 'Uptime', type: 'string', cell: ({ status }) => uptime(status.uptimeSeconds) },
    { name: 'Why', type: 'string', cell: ({ status }) => status.why ?? '' },
    {
      name: 'Round trip P90',
      type: 'string',
      priority: 1,
      cell: ({ status }) => milliseconds(status.roundTripP90Microseconds),
    },
    { name: 'Peer ID', type: 'string', priority: 1, cell: ({ status }) => status.peer ?? '' },
  ],
})
export type Quorum = ObjectOf<typeof quorum>
