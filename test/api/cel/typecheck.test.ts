// What the status of a policy warns of: expressions against the types of what it matches.
import { describe, expect, test } from 'vitest'
import { builtInTypes, customTypes, expressionWarnings } from '../../../src/api/cel/typecheck.ts'
import type { CustomResourceDefinition } from '../../../src/api/kinds/customresourcedefinition.ts'
import type { ValidatingAdmissionPolicy } from '../../../src/api/kinds/validatingadmissionpolicy.ts'
import { kinds } from '../../../src/api/kinds.ts'

const rule = (group: string, version: string, ...resources: string[]) => ({
  apiGroups: [group],
  apiVersions: [version],
  operations: ['*'],
  resources,
})
const deployments = rule('apps', 'v1', 'deployments')

const definition = {
  spec: {
    group: 'stable.example.com',
    scope: 'Namespaced',
    names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab', listKind: 'CronTabList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { size: { type: 'integer' } } } },
          },
        },
      },
      { name: 'v0', served: false, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
    ],
  },
} as unknown as CustomResourceDefinition

const known = [...builtInTypes(kinds), ...customTypes([definition])]

function warningsOf(expression: string, resourceRules: readonly object[] = [deployments], more: object = {}) {
  const spec = { matchConstraints: { resourceRules }, validations: [{ expression }], ...more }
  return expressionWarnings({ spec } as unknown as ValidatingAdmissionPolicy, known)
}
const textOf = (...given: Parameters<typeof warningsOf>) => warningsOf(...given).map(({ warning }) => warning)[0] ?? ''

describe('type checking of a policy', () => {
  test('what is right is not warned of', () => {
    expect(warningsOf('object.spec.replicas <= 5 && object.metadata.labels["a"] == "b"')).toEqual([])
    expect(warningsOf('oldObject == null || oldObject.spec.replicas == object.spec.replicas')).toEqual([])
    expect(warningsOf('authorizer.group("").resource("pods").check("get").allowed()')).toEqual([])
    expect(warningsOf('request.userInfo.username != "" && namespaceObject.metadata.name != ""')).toEqual([])
  })

  test('a field that is not there is, in the words and with the place of the compiler', () => {
    expect(warningsOf('object.replicas > 1')).toEqual([
      {
        fieldRef: 'spec.validations[0].expression',
        warning:
          "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n",
      },
    ])
  })

  test('a wrong type is, and a message as well as what it is about', () => {
    const validations = [
      { expression: 'true', messageExpression: "'replicas: ' + object.spec.replicas" },
      { expression: "object.spec.replicas == 'three'" },
    ]
    const warnings = warningsOf('', [deployments], { validations })
    expect(warnings.map(({ fieldRef }) => fieldRef)).toEqual([
      'spec.validations[0].messageExpression',
      'spec.validations[1].expression',
    ])
    expect(warnings[0]?.warning).toContain("found no matching overload for '_+_' applied to '(string, int)'")
  })

  test('every kind that is named is looked at, sorted; those of no group in all groups', () => {
    const rules = [rule('apps', 'v1', 'replicasets', 'deployments'), rule('', 'v1', 'events')]
    const heads = textOf('object.nothing == 1', rules)
      .split('\n')
      .filter(line => line.includes('Kind='))
      .map(line => line.split(': ')[0])
    expect(heads).toEqual([
      '/v1, Kind=Event',
      'apps/v1, Kind=Deployment',
      'apps/v1, Kind=ReplicaSet',
      'events.k8s.io/v1, Kind=Event',
    ])
  })

  test('wildcards, subresources and kinds that nobody knows are not looked at', () => {
    for (const one of [
      rule('*', 'v1', 'deployments'),
      rule('apps', '*', 'deployments'),
      rule('apps', 'v1', '*'),
      rule('apps', 'v1', 'deployments/scale'),
      rule('apps', 'v9', 'deployments'),
    ]) {
      expect(warningsOf('object.nothing == 1', [one])).toEqual([])
    }
  })

  test('variables have the types of what they stand for', () => {
    const variables = [
      { name: 'spec', expression: 'object.spec' },
      { name: 'count', expression: 'variables.spec.replicas' },
    ]
    expect(warningsOf('variables.count > 1', [deployments], { variables })).toEqual([])
    expect(textOf('variables.spec.nothing > 1', [deployments], { variables })).toContain("undefined field 'nothing'")
  })

  test('parameters have the type of their kind; of one that nobody knows nothing may be said', () => {
    const paramKind = { apiVersion: 'v1', kind: 'ConfigMap' }
    expect(warningsOf("params.data['max'] == '3'", [deployments], { paramKind })).toEqual([])
    expect(textOf('params.max == 3', [deployments], { paramKind })).toContain("undefined field 'max'")
    const unknown = { apiVersion: 'example.com/v1', kind: 'Nothing' }
    expect(textOf('params.max == 3', [deployments], { paramKind: unknown })).toContain(
      "undeclared reference to 'params'",
    )
  })

  test('what somebody defined has the type of its schema, and all metadata', () => {
    const crontabs = [rule('stable.example.com', 'v1', 'crontabs')]
    expect(warningsOf('object.spec.size > 1 && object.metadata.labels.size() > 0', crontabs)).toEqual([])
    expect(textOf('object.spec.sise > 1', crontabs)).toContain(
      "stable.example.com/v1, Kind=CronTab: ERROR: <input>:1:12: undefined field 'sise'",
    )
    expect(warningsOf('object.spec.sise > 1', [rule('stable.example.com', 'v0', 'crontabs')])).toEqual([])
  })
})
