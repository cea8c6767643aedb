// Who may connect, kept equal to the Nodes: the mesh's gate and the addresses to dial follow them, and a file remembers them
// for the next start, when the store is not there yet to be asked.
import { node as nodeKind } from '../api/kinds/node.ts'
import type { Client } from '../client/client.ts'
import { type Followed, follow } from '../client/run-follow.ts'
import type { Node } from '../kubelet/node.ts'
import { canonicalJson } from '../lib/canonical.ts'
import type { World } from '../world/world.ts'
import { writePeers } from './run-files.ts'
import { admittedBy } from './status.ts'

export type Members = { readonly nodes: Followed<Node> }

export function followMembers(world: World, client: Client, dataDir: string, signal: AbortSignal): Members {
  const nodes = follow(world, client, nodeKind, {}, {}, signal)
  let written = ''
  let tail: Promise<void> = Promise.resolve()
  nodes.onChange(() => {
    const admitted = admittedBy(nodes.view.list())
    world.network.admit(admitted)
    const text = canonicalJson(admitted)
    if (text === written) return
    written = text
    tail = tail
      .then(() => writePeers(dataDir, admitted))
      .catch(error => world.log.warn('the list of peers was not saved', { error: String(error) }))
  })
  return { nodes }
}
