// Who may connect, kept equal to the Nodes: the mesh's gate and the addresses to dial follow them, and a file remembers them
// for the next start, when the store is not there yet to be asked.
import { node as nodeKind } from '../api/kinds/node.ts'
import type { Client } from '../client/client.ts'
import { type Followed, follow } from '../client/run-follow.ts'
import type { Node } from '../kubelet/node.ts'
import type { Store } from '../kv/store.ts'
import { canonicalJson } from '../lib/canonical.ts'
import type { World } from '../world/world.ts'
import { type KnownPeer, writePeers } from './run-files.ts'
import { addressesOf, admittedBy, peerOf } from './status.ts'

export type Members = { readonly nodes: Followed<Node> }

export function followMembers(
  world: World,
  client: Client,
  store: Pick<Store, 'status'>,
  dataDir: string,
  signal: AbortSignal,
): Members {
  const nodes = follow(world, client, nodeKind, {}, {}, signal)
  let written = ''
  let tail: Promise<void> = Promise.resolve()
  nodes.onChange(() => {
    const admitted = admittedBy(nodes.view.list())
    world.network.admit(admitted)
    const { members } = store.status()
    const known = nodes.view.list().flatMap((node): KnownPeer[] => {
      const peer = peerOf(node)
      if (peer === undefined) return []
      const found = members.find(member => member.peer === peer)
      const { name } = node.metadata
      return [
        { peer, addresses: addressesOf(node), node: name, ...(found && { member: found.member, role: found.role }) },
      ]
    })
    const text = canonicalJson(known)
    if (text === written) return
    written = text
    tail = tail
      .then(() => writePeers(dataDir, known))
      .catch(error => world.log.warn('the list of peers was not saved', { error: String(error) }))
  })
  return { nodes }
}
