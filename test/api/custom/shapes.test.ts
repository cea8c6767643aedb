// Definitions made like well-known ones: their features together, small.
import { describe, expect, test } from 'vitest'
import { admit } from '../../../src/api/admit.ts'
import { customKinds, renamed } from '../../../src/api/custom/kind.ts'
import { ApiError } from '../../../src/api/error.ts'
import type { Kind, KubeObject } from '../../../src/api/kind.ts'
import {
  type CustomResourceDefinition,
  customResourceDefinition,
} from '../../../src/api/kinds/customresourcedefinition.ts'
import { parseObject } from '../../../src/api/parse.ts'
import { applyPatch } from '../../../src/api/patch/apply.ts'
import type { Json } from '../../../src/api/schema.ts'
import { toTable } from '../../../src/api/table.ts'
import { definition } from '../../apiserver/definitions.ts'

const stamp = { uid: 'u', nowMs: 1_700_000_000_000, suffix: 'abcde' }

function kindOf(given: object): Kind {
  const { object } = parseObject(customResourceDefinition, given as Json, 'Strict')
  const made: CustomResourceDefinition = admit(customResourceDefinition, 'create', {
    old: undefined,
    incoming: object,
    stamp,
  })
  const accepted = { ...made, status: { ...made.status, acceptedNames: made.spec.names } }
  const [kind] = customKinds(accepted, renamed)
  if (kind === undefined) throw new Error('nothing is served')
  return kind
}

function create(kind: Kind, value: object): KubeObject {
  const typed = {
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: { name: 'x', namespace: 'd' },
    ...value,
  }
  const { object } = parseObject(kind, typed as Json, 'Strict')
  return admit(kind, 'create', { old: undefined, incoming: object, stamp, fieldManager: 'm' })
}

function faultsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`)
  }
  return []
}

const condition = {
  type: 'object',
  required: ['status', 'type'],
  properties: {
    type: { type: 'string' },
    status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
    lastTransitionTime: { type: 'string', format: 'date-time' },
    reason: { type: 'string' },
  },
}
const conditions = {
  type: 'array',
  items: condition,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
}

describe('a certificate', () => {
  const kind = kindOf(
    definition('certificates', 'Certificate', [
      {
        schema: {
          type: 'object',
          required: ['spec'],
          properties: {
            spec: {
              type: 'object',
              required: ['issuerRef', 'secretName'],
              properties: {
                secretName: { type: 'string' },
                duration: { type: 'string' },
                dnsNames: { type: 'array', items: { type: 'string' } },
                issuerRef: {
                  type: 'object',
                  required: ['name'],
                  properties: { name: { type: 'string' }, kind: { type: 'string', default: 'Issuer' } },
                  'x-kubernetes-map-type': 'atomic',
                },
                privateKey: {
                  type: 'object',
                  properties: {
                    algorithm: { type: 'string', enum: ['RSA', 'ECDSA', 'Ed25519'] },
                    size: { type: 'integer', format: 'int32' },
                  },
                },
                solver: { type: 'object', properties: { config: { 'x-kubernetes-preserve-unknown-fields': true } } },
              },
            },
            status: { type: 'object', properties: { conditions, notAfter: { type: 'string', format: 'date-time' } } },
          },
        },
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Secret', type: 'string', jsonPath: '.spec.secretName' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      },
    ]),
  )
  const spec = { secretName: 's', issuerRef: { name: 'i' }, solver: { config: { any: { thing: [1, null] } } } }

  test('is taken with its defaults and what is free in it', () => {
    expect(create(kind, { spec })).toMatchObject({ spec: { ...spec, issuerRef: { name: 'i', kind: 'Issuer' } } })
  })
  test('is refused with all its faults', () => {
    const wrong = { secretName: 's', issuerRef: {}, privateKey: { algorithm: 'DSA', size: 3_000_000_000 } }
    expect(faultsOf(() => create(kind, { spec: wrong }))).toEqual([
      'spec.issuerRef.name: Required value',
      'spec.privateKey.algorithm: Unsupported value: "DSA": supported values: "ECDSA", "Ed25519", "RSA"',
      'spec.privateKey.size: Invalid value: 3000000000: spec.privateKey.size in body must be of type integer with format int32',
    ])
  })
  test('shows a condition in a column', () => {
    const status = {
      conditions: [
        { type: 'Issuing', status: 'False' },
        { type: 'Ready', status: 'True' },
      ],
    }
    const object = { ...create(kind, { spec }), status } as KubeObject
    const { rows } = toTable(kind, [object], stamp.nowMs + 60_000) as unknown as { rows: readonly { cells: unknown }[] }
    expect(rows[0]?.cells).toEqual(['x', 'True', 's', '60s'])
  })
  test('an atomic map is owned as a whole, conditions by their type', () => {
    const base = {
      ...create(kind, { spec }),
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    } as KubeObject
    const applied = {
      ...base,
      metadata: { name: 'x', namespace: 'd' },
      spec: { issuerRef: { name: 'other' } },
    } as unknown as KubeObject
    const options = { manager: 'two', force: true, nowMs: stamp.nowMs }
    const next = applyPatch(kind, base, applied, options) as KubeObject & {
      readonly spec: { readonly issuerRef: unknown }
    }
    expect(next.spec.issuerRef).toEqual({ name: 'other' })
    const entry = next.metadata.managedFields?.find(({ manager }) => manager === 'two')
    expect(entry?.fieldsV1).toEqual({ 'f:spec': { 'f:issuerRef': {} } })
  })
})

describe('a route', () => {
  const kind = kindOf(
    definition('routes', 'Route', [
      {
        schema: {
          type: 'object',
          properties: {
            spec: {
              type: 'object',
              properties: {
                hostnames: {
                  type: 'array',
                  maxItems: 4,
                  items: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 253,
                    pattern: '^(\\*\\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
                  },
                },
                rules: {
                  type: 'array',
                  maxItems: 4,
                  default: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }],
                  items: {
                    type: 'object',
                    properties: {
                      name: { type: 'string', maxLength: 63 },
                      matches: {
                        type: 'array',
                        maxItems: 8,
                        items: {
                          type: 'object',
                          properties: {
                            path: {
                              type: 'object',
                              default: { type: 'PathPrefix', value: '/' },
                              properties: {
                                type: { type: 'string', enum: ['Exact', 'PathPrefix'], default: 'PathPrefix' },
                                value: { type: 'string', maxLength: 1_024, default: '/' },
                              },
                              'x-kubernetes-validations': [
                                {
                                  rule: "self.value.startsWith('/')",
                                  message: "value must be an absolute path and start with '/'",
                                },
                              ],
                            },
                          },
                        },
                      },
                      backendRefs: {
                        type: 'array',
                        maxItems: 4,
                        items: {
                          type: 'object',
                          required: ['name'],
                          properties: {
                            name: { type: 'string', minLength: 1, maxLength: 253 },
                            port: { type: 'integer', format: 'int32', minimum: 1, maximum: 65_535 },
                            weight: { type: 'integer', format: 'int32', default: 1, minimum: 0, maximum: 1_000_000 },
                            kind: { type: 'string', default: 'Service', maxLength: 63 },
                          },
                          'x-kubernetes-validations': [
                            {
                              rule: "self.kind == 'Service' ? has(self.port) : true",
                              message: 'Must have port for Service reference',
                            },
                          ],
                        },
                      },
                    },
                  },
                  'x-kubernetes-validations': [
                    {
                      rule: 'self.all(l1, !has(l1.name) || self.exists_one(l2, has(l2.name) && l1.name == l2.name))',
                      message: 'Rule name must be unique within the route',
                    },
                  ],
                },
              },
            },
          },
        },
      },
    ]),
  )

  test('has the rules that it gets when it names none, and defaults at every depth', () => {
    expect(create(kind, { spec: {} })).toMatchObject({
      spec: { rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }] },
    })
    expect(
      create(kind, { spec: { rules: [{ matches: [{}], backendRefs: [{ name: 'a', port: 80 }] }] } }),
    ).toMatchObject({
      spec: {
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            backendRefs: [{ name: 'a', port: 80, weight: 1, kind: 'Service' }],
          },
        ],
      },
    })
  })
  test('is refused by the rules that its schema carries', () => {
    const rules = [
      { name: 'a', matches: [{ path: { value: 'x' } }] },
      { name: 'a', backendRefs: [{ name: 'b' }] },
    ]
    expect(faultsOf(() => create(kind, { spec: { rules } }))).toEqual([
      'spec.rules: Invalid value: Rule name must be unique within the route',
      "spec.rules[0].matches[0].path: Invalid value: value must be an absolute path and start with '/'",
      'spec.rules[1].backendRefs[0]: Invalid value: Must have port for Service reference',
    ])
    expect(faultsOf(() => create(kind, { spec: { hostnames: ['*.example.com', 'Not*'] } }))[0]).toContain(
      'spec.hostnames[1]',
    )
  })
})
