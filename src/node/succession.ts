// Which cluster is which, when one of them began again. Pure.
//
// A cluster has an ID, and every frame of raft carries it. `flotilla recover` and `flotilla restore` begin the cluster again
// under another ID, as one voter with what its copy holds. What stays is what people and machines know it by: its name, its
// certificate authority, its Nodes (which are the admission list), its tokens. So the peers that are left need nothing done by
// hand, but each must find out that the ID it knows is the past. The protocol:
//
// 1. Who begins again writes down a succession: the IDs that came before, the new one, who, when, at which term and index. Its
//    agent signs it with the key of the certificate authority, and puts it into the store, so that every member of the new
//    cluster can show it, also when the peer that recovered is gone.
// 2. Peers greet each other whenever a connection comes up, and again every few seconds (run-greeting.ts): cluster ID, whether
//    a leader is known, the succession if there is one. A peer that starts with a store that has run before greets all it knows
//    and waits for the answers of those that are there before it opens that store, so that an old majority that comes back is
//    told before it can elect anybody. It waits for nobody once one of its own cluster knows a leader.
// 3. A peer that is shown a succession which names its own cluster ID as past, signed by the authority that it knows itself:
//    - has no leader: it writes the succession into cluster.json, which bars its store for good, stops the store, and asks the
//      new cluster to be admitted again under its old Node name (run-rejoin.ts). It gets a fresh member ID and an empty
//      store; the old one is kept aside. Its pods run on meanwhile: they are the kubelet's and the runtime's.
//    - has a leader: its own cluster lives, with a majority that the one who recovered did not see. Nobody gives way on its
//      own. Both say so, in the log and in `flotilla status`, and a person decides: `flotilla rejoin` on the side to give up.
// 4. The new cluster drops every message of the old ID (store/run-speech.ts), so an old member that does not listen gets
//    nowhere, and without these others the old ID has no majority once one of its voters has given way.
//
// What that does not cover: an old majority that comes back where it reaches nobody of the new cluster elects a leader and
// serves, under the old ID, until it does; then the second case of 3 holds. No protocol can tell those two apart in time.
import { createPublicKey, sign, verify } from 'node:crypto'
import { canonicalJson } from '../lib/canonical.ts'

export type Succession = {
  /** All IDs that the cluster had before, oldest first. */
  readonly from: readonly string[]
  readonly to: string
  readonly how: 'recover' | 'restore'
  readonly peer: string
  readonly node: string
  /** Wall clock. */
  readonly atMs: number
  /** Of the copy that it began again from. */
  readonly term: number
  readonly index: number
  readonly revision: number
}

export type SignedSuccession = {
  readonly succession: Succession
  /** Base64; ECDSA with SHA-256 by the certificate authority's key. */
  readonly signature: string
}

const what = 'flotilla succession 1\n'

export function signSuccession(succession: Succession, authorityKeyPem: string): SignedSuccession {
  const signature = sign('sha256', Buffer.from(what + canonicalJson(succession)), authorityKeyPem)
  return { succession, signature: signature.toString('base64') }
}

/** The succession when it is well formed and the authority signed it; undefined otherwise. Total. */
export function verifiedSuccession(value: unknown, authorityPem: string): Succession | undefined {
  try {
    const { succession, signature } = value as SignedSuccession
    const { from, to, peer, node, how } = succession
    const strings = [to, peer, node, signature, ...from]
    if (strings.some(text => typeof text !== 'string' || text === '') || (how !== 'recover' && how !== 'restore')) {
      return undefined
    }
    const key = createPublicKey(authorityPem)
    const bytes = Buffer.from(what + canonicalJson(succession))
    return verify('sha256', bytes, key, Buffer.from(signature, 'base64')) ? succession : undefined
  } catch {
    // Not of this form at all: from another program, or a liar.
    return undefined
  }
}

/** What a peer says of itself when it is greeted. */
export type Greeting = {
  readonly clusterId: string
  readonly node: string
  /** It knows a leader of its own cluster at this moment. */
  readonly led: boolean
  readonly succession?: SignedSuccession
}

export type Judgement =
  | { readonly kind: 'same' }
  /** Their cluster took the place of ours, and ours has no leader: give way. */
  | { readonly kind: 'abandoned'; readonly by: SignedSuccession }
  /** Two clusters live that both were this one. */
  | { readonly kind: 'conflict'; readonly why: string }
  /** They are of a cluster that ours took the place of; they will hear it from us. */
  | { readonly kind: 'outdated' }
  /** Another cluster, and nothing that proves how it came about (yet). */
  | { readonly kind: 'foreign' }

export function judge(own: Greeting & { readonly authorityPem: string | undefined }, theirs: Greeting): Judgement {
  if (own.clusterId === theirs.clusterId) return { kind: 'same' }
  const { authorityPem } = own
  if (authorityPem === undefined) return { kind: 'foreign' }
  const told = verifiedSuccession(theirs.succession, authorityPem)
  const mine = verifiedSuccession(own.succession, authorityPem)
  const isPast = told?.to === theirs.clusterId && told.from.includes(own.clusterId)
  const isOurPast = mine?.to === own.clusterId && mine.from.includes(theirs.clusterId)
  if (isPast && theirs.succession !== undefined) {
    if (!own.led) return { kind: 'abandoned', by: theirs.succession }
    return {
      kind: 'conflict',
      why:
        `${told.node} began this cluster again (${told.how}) without us, and we have a majority: two clusters say that they are ` +
        'this one. Choose: `flotilla rejoin` on each peer of the one to give up. Its data is kept aside',
    }
  }
  if (isOurPast) {
    if (!theirs.led) return { kind: 'outdated' }
    return {
      kind: 'conflict',
      why:
        `${theirs.node} is of the cluster that this one took the place of, and that one has a majority again: two clusters say ` +
        'that they are this one. Choose: `flotilla rejoin` on each peer of the one to give up. Its data is kept aside',
    }
  }
  const common = mine?.from.find(id => told?.from.includes(id) === true)
  if (common !== undefined) {
    return {
      kind: 'conflict',
      why:
        `${told?.node ?? theirs.node} began this cluster again too, on its own. Choose: \`flotilla rejoin\` on each peer of ` +
        'the one to give up. Its data is kept aside',
    }
  }
  return { kind: 'foreign' }
}

/** The peer whose copy a cluster began again from, in words. */
export function describeSuccession({ how, node, atMs, to }: Succession): string {
  const verb = how === 'recover' ? 'recovered' : 'restored from a backup'
  return `the cluster was ${verb} on ${node} at ${new Date(atMs).toISOString()} and goes on as ${to}`
}
