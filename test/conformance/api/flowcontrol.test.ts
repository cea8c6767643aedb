import { describe } from 'vitest'
import { walkThrough } from './operations.ts'

const root = '/apis/flowcontrol.apiserver.k8s.io/v1'
const condition = { type: 'Dangling', status: 'True', reason: 'NotFound', message: 'no such level' }

describe('flowcontrol-api', () => {
  walkThrough({
    root,
    resource: 'flowschemas',
    kind: 'FlowSchema',
    subresources: ['status'],
    make: i => ({
      metadata: { name: `schema-${i}` },
      spec: {
        priorityLevelConfiguration: { name: 'level-0' },
        matchingPrecedence: 10_000,
        distinguisherMethod: { type: 'ByUser' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name: 'walker' } }],
            nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          },
        ],
      },
    }),
    change: { spec: { matchingPrecedence: 9_999 } },
    status: { patch: { conditions: [condition] }, expected: { conditions: [condition] } },
    columns: ['Name', 'PriorityLevel', 'MatchingPrecedence', 'DistinguisherMethod', 'Age', 'MissingPL'],
    cells: ['schema-0', 'level-0', 10_000, 'ByUser', '?'],
  })

  walkThrough({
    root,
    resource: 'prioritylevelconfigurations',
    kind: 'PriorityLevelConfiguration',
    subresources: ['status'],
    make: i => ({
      metadata: { name: `level-${i}` },
      spec: {
        type: 'Limited',
        limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Queue', queuing: { queues: 16 } } },
      },
    }),
    change: { spec: { limited: { nominalConcurrencyShares: 4 } } },
    status: { patch: { conditions: [condition] }, expected: { conditions: [condition] } },
    columns: ['Name', 'Type', 'NominalConcurrencyShares', 'Queues', 'HandSize', 'QueueLengthLimit', 'Age'],
    cells: ['level-0', 'Limited', 2, 16, 8, 50],
  })
})
