// Gives each node a range of pod addresses of its own. One plan serves all nodes, on a view that shows every earlier gift,
// so that no range is given twice; a range is free again when its Node is deleted.
import { node as nodeKind } from '../api/kinds/node.ts'
import { createdMs } from '../client/objects.ts'
import { type Cidr, formatCidr, freeSubnet, parseCidr } from '../lib/cidr.ts'
import { compareText } from '../lib/sorted.ts'
import { type Change, defineSweep, type Plan, patch, tell } from './controller.ts'

export const podCidrController = defineSweep({
  name: 'podcidr',
  reads: { nodes: nodeKind },
  reconcile({ nodes }, { inputs }): Plan {
    const all = nodes.list()
    const cluster = parseCidr(inputs.config.clusterCidr)
    if (cluster === undefined) throw new RangeError(`no CIDR: ${JSON.stringify(inputs.config.clusterCidr)}`)
    const taken = all.flatMap(({ spec }): readonly Cidr[] => {
      const cidr = parseCidr(spec.podCIDR ?? '')
      return cidr === undefined ? [] : [cidr]
    })
    const changes: Change[] = []
    const bare = all
      .filter(({ spec }) => !spec.podCIDR)
      .toSorted((a, b) => createdMs(a) - createdMs(b) || compareText(a.metadata.name, b.metadata.name))
    for (const node of bare) {
      const free = freeSubnet(cluster, inputs.config.nodeCidrBits, taken)
      if (free === undefined) {
        const message = `Node ${node.metadata.name} gets no pod CIDR: ${inputs.config.clusterCidr} is used up`
        changes.push(tell(node, 'Warning', 'CIDRNotAvailable', message))
        continue
      }
      taken.push(free)
      const text = formatCidr(free)
      changes.push(patch(nodeKind, node, { spec: { podCIDR: text, podCIDRs: [text] } }))
    }
    return { changes }
  },
})
