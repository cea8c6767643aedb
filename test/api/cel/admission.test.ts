// Expressions of admission: what they may read, what they may give, and questions about access.
import { expect, test } from 'vitest'
import {
  type AdmissionInput,
  type AdmissionOptions,
  admissionVariables,
  compileAdmission,
  variableFailed,
} from '../../../src/api/cel/admission.ts'
import { typeOfSchema } from '../../../src/api/cel/builtin.ts'
import type { AccessQuestion } from '../../../src/api/cel/library/authorizer.ts'
import { perCallLimit } from '../../../src/api/cel/limits.ts'
import { deployment } from '../../../src/api/kinds/deployment.ts'
import { compile, environment } from '../../../src/lib/cel/cel.ts'
import { bool, int, nullType, string } from '../../../src/lib/cel/types.ts'

const input: AdmissionInput = {
  object: {
    metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
    spec: { replicas: 3, template: { spec: { containers: [{ name: 'a', image: 'r.example/a:1' }] } } },
  },
  oldObject: null,
  request: {
    operation: 'CREATE',
    name: 'web',
    namespace: 'shop',
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    userInfo: { username: 'ann', groups: ['devs'], extra: { scopes: ['a'] } },
  },
  namespaceObject: { metadata: { name: 'shop', labels: { environment: 'prod' } } },
  params: { spec: { maxReplicas: 5 } },
}

const everything: AdmissionOptions = { params: true, authorizer: true, variables: { total: int, broken: int } }

function outcome(expression: string, options = everything, more: Partial<AdmissionInput> = {}): unknown {
  const compiled = compileAdmission(expression, options)
  if (compiled.kind === 'refused') return compiled.detail
  const variables = admissionVariables({ ...input, ...more })
  const evaluated = compiled.program.evaluate(variables, { costLimit: perCallLimit })
  return evaluated.kind === 'failed' ? evaluated.error : evaluated.value
}

test.each([
  'object.spec.replicas <= params.spec.maxReplicas',
  "object.spec.template.spec.containers.all(c, c.image.startsWith('r.example/'))",
  "oldObject == null && request.operation == 'CREATE' && request.resource.resource == 'deployments'",
  "request.userInfo.username == 'ann' && 'devs' in request.userInfo.groups && request.userInfo.extra['scopes'] == ['a']",
  "namespaceObject.metadata.labels['environment'] == 'prod' && namespaceObject.metadata.labels.environment == 'prod'",
  "object.metadata.namespace == request.namespace && object.metadata.labels.all(k, v, k == 'app' && v == 'web')",
  '!has(object.spec.paused) && !has(oldObject.spec) && object.?spec.?paused.orValue(false) == false',
  'object.spec.replicas == 3.0 && type(object.spec.replicas) == int && has(object.metadata.labels.app)',
])('%s', expression => {
  expect(outcome(expression)).toBe(true)
})

test('what is not there is an error that tells its name', () => {
  expect(outcome('object.spec.nope > 1')).toBe('no such key: nope')
  expect(outcome('oldObject.spec.replicas > 1')).toBe('no such key: spec')
  expect(outcome('object.spec.replicas.x')).toBe('no such key: x')
  expect(outcome('request.nope')).toBe(
    "compilation failed: ERROR: <input>:1:8: undefined field 'nope'\n | request.nope\n | .......^",
  )
})

test('params, authorizer and variables are there only where they are declared', () => {
  const none: AdmissionOptions = { params: false, authorizer: false }
  for (const name of ['params', 'authorizer', 'variables']) {
    expect(outcome(`${name}.x`, none)).toContain(`undeclared reference to '${name}' (in container '')`)
  }
  expect(outcome('variables.nope')).toContain("undefined field 'nope'")
})

test('what an expression gives is of the types that are asked for', () => {
  const returns = (...types: NonNullable<AdmissionOptions['returns']>[number][]) => ({ ...everything, returns: types })
  expect(outcome('1', returns(bool))).toBe('must evaluate to bool')
  expect(outcome('1', returns(string, nullType))).toBe('must evaluate to one of [string null_type]')
  expect(outcome("'a'", returns(string, nullType))).toBe('a')
  expect(outcome('object.spec', returns(bool))).toBe('must evaluate to bool')
})

test('a variable is found once, when it is first read; one that fails fails its readers', () => {
  let asked = 0
  const variables = {
    total: () => {
      asked++
      return 42
    },
    broken: () => variableFailed('broken', 'no such key: x'),
  }
  expect(outcome('variables.total + variables.total == 84', everything, { variables })).toBe(true)
  expect(asked).toBe(1)
  expect(outcome('true || variables.total > 1', everything, { variables })).toBe(true)
  expect(asked).toBe(1)
  expect(outcome('variables.broken > 1', everything, { variables })).toBe(
    'composited variable "broken" fails to evaluate: no such key: x',
  )
})

test('questions about access are asked of the authorizer', () => {
  const questions: AccessQuestion[] = []
  const unsaid = { subresource: '', namespace: '', name: '', fieldSelector: '', labelSelector: '' }
  const authorizer = {
    authorize: (question: AccessQuestion) => {
      questions.push(question)
      return { allowed: question.verb === 'get', reason: 'because' }
    },
    requestResource: { ...unsaid, group: 'apps', resource: 'deployments', namespace: 'shop', name: 'web' },
  }
  const ask = (expression: string) => outcome(expression, everything, { authorizer })
  expect(
    ask("authorizer.group('').resource('pods').subresource('log').namespace('x').name('p').check('get').allowed()"),
  ).toBe(true)
  expect(ask("authorizer.requestResource.check('delete').allowed()")).toBe(false)
  expect(ask("authorizer.path('/healthz').check('get').reason()")).toBe('because')
  expect(
    ask(
      "authorizer.serviceAccount('shop', 'robot').group('apps').resource('deployments').labelSelector('a=b').check('get').errored()",
    ),
  ).toBe(false)
  expect(questions).toEqual([
    {
      kind: 'resource',
      subject: { kind: 'requester' },
      verb: 'get',
      ...unsaid,
      group: '',
      resource: 'pods',
      subresource: 'log',
      namespace: 'x',
      name: 'p',
    },
    { kind: 'resource', subject: { kind: 'requester' }, verb: 'delete', ...authorizer.requestResource },
    { kind: 'path', subject: { kind: 'requester' }, verb: 'get', path: '/healthz' },
    {
      kind: 'resource',
      subject: { kind: 'serviceAccount', namespace: 'shop', name: 'robot' },
      verb: 'get',
      ...unsaid,
      group: 'apps',
      resource: 'deployments',
      labelSelector: 'a=b',
    },
  ])
  expect(ask("authorizer.path(' ').check('get').allowed()")).toBe('path must not be empty')
  expect(ask("authorizer.serviceAccount('No', 'x').path('/').check('get').allowed()")).toBe(
    'Invalid service account namespace',
  )
  const three = [1, 2, 3].map(() => "authorizer.requestResource.check('list').allowed()").join(' || ')
  expect(ask(three)).toBe('operation cancelled: actual cost limit exceeded')
})

test('policies are checked against the schemas of built-in kinds', () => {
  const env = environment({ object: typeOfSchema(deployment.schema) })
  const message = (source: string): string => {
    const compiled = compile(source, env)
    return compiled.kind === 'refused' ? compiled.message : 'ok'
  }
  expect(message('object.spec.replicas > 1 && object.spec.template.spec.containers.all(c, c.image != "")')).toBe('ok')
  expect(message('object.metadata.namespace == "x" && object.metadata.__namespace__ == "x"')).toBe('ok')
  expect(message("object.spec.strategy.rollingUpdate.maxSurge == '25%'")).toBe('ok')
  expect(message('object.spec.replicaz > 1')).toContain("undefined field 'replicaz'")
  expect(message("object.spec.replicas == 'three'")).toContain(
    "found no matching overload for '_==_' applied to '(int, string)'",
  )
})
