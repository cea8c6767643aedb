import { describe, expect, test } from 'vitest'
import { asking } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
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

  test('a table has them as they are tried', async () => {
    const api = await testApiserver()
    const ask = asking(api)
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const { body } = await ask(`${root}/flowschemas`, { accept })
    const rows = body.rows.map(({ cells }: { cells: readonly [string, string, number] }) => [cells[2], cells[0]])
    expect(rows.length).toBeGreaterThan(5)
    expect(rows[0]).toEqual([1, 'exempt'])
    expect(rows).toEqual(
      rows.toSorted((a: [number, string], b: [number, string]) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1)),
    )
    api.stop()
  })

  test('what saves a cluster cannot be changed, but how much the exempt level counts', async () => {
    const api = await testApiserver()
    const ask = asking(api)
    const patch = (path: string, spec: object) => ask(`${root}/${path}`, { method: 'PATCH', body: { spec } })
    expect((await patch('flowschemas/exempt', { rules: [] })).message).toContain(
      "spec of 'exempt' must equal the fixed value",
    )
    expect((await patch('flowschemas/catch-all', { matchingPrecedence: 9_000 })).code).toBe(422)
    const level = 'prioritylevelconfigurations'
    const refused = await patch(`${level}/catch-all`, { limited: { nominalConcurrencyShares: 50 } })
    expect(refused.message).toContain("spec of 'catch-all' must equal the fixed value")
    const shares = await patch(`${level}/exempt`, { exempt: { nominalConcurrencyShares: 7 } })
    expect(shares.body.spec).toEqual({ type: 'Exempt', exempt: { nominalConcurrencyShares: 7, lendablePercent: 0 } })
    const annotations = { noted: 'yes' }
    const noted = await ask(`${root}/flowschemas/exempt`, { method: 'PATCH', body: { metadata: { annotations } } })
    expect(noted.body.metadata.annotations).toMatchObject(annotations)
    api.stop()
  })
})
