// What a schema, and the rules in it, refuse of a custom object, in Kubernetes' words.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { certificates } from '../../apiserver/certificates.ts'
import { customApi, definition, definitionUrl, has, until } from '../../apiserver/definitions.ts'

let api: Awaited<ReturnType<typeof customApi>>
beforeAll(async () => {
  api = await customApi()
})
afterAll(() => api.stop())

const all = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const inSpec = (properties: object, more: object = {}) => ({
  type: 'object',
  properties: { spec: { type: 'object', properties, ...more } },
})

let count = 0
/** Defines a kind of this schema and says how it is asked about specs. */
async function kindOf(schema: object) {
  count += 1
  const plural = `kinds${String.fromCharCode(96 + count)}`
  const kind = `Kind${String.fromCharCode(64 + count)}`
  const made = await api.define(definition(plural, kind, [{ schema }]))
  const url = `/apis/stable.example.com/v1/namespaces/default/${plural}`
  const object = (name: string, spec: unknown) => ({
    apiVersion: 'stable.example.com/v1',
    kind,
    metadata: { name },
    spec,
  })
  return {
    url,
    plural,
    definition: made.body,
    create: (name: string, spec: unknown) => api.ask(url, { body: object(name, spec) }),
    patch: (name: string, spec: unknown) => api.ask(`${url}/${name}`, { method: 'PATCH', body: { spec } }),
  }
}

type Cause = { readonly field: string; readonly message: string; readonly reason: string }
const causesOf = ({ body }: { readonly body: { readonly details?: { readonly causes?: readonly Cause[] } } }) =>
  (body.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`)

describe('crd-validation', () => {
  test('types, bounds, patterns, formats, lists and required fields', async () => {
    const kind = await kindOf(
      inSpec(
        {
          text: { type: 'string', minLength: 2, maxLength: 4, pattern: '^[a-z]+$' },
          number: { type: 'integer', minimum: 1, maximum: 5, exclusiveMaximum: true, multipleOf: 2 },
          choice: { type: 'string', enum: ['a', 'b'] },
          list: { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string' } },
          set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
          when: { type: 'string', format: 'date-time' },
          address: { type: 'string', format: 'ipv4' },
          map: { type: 'object', maxProperties: 1, additionalProperties: { type: 'integer' } },
          either: { 'x-kubernetes-int-or-string': true },
          flag: { type: 'boolean' },
        },
        { required: ['text'] },
      ),
    )
    const cases: readonly (readonly [object, readonly string[]])[] = [
      [{}, ['spec.text: Required value']],
      [
        { text: 'A' },
        [
          'spec.text: Invalid value: "A": spec.text in body should be at least 2 chars long',
          'spec.text: Invalid value: "A": spec.text in body should match \'^[a-z]+$\'',
        ],
      ],
      [{ text: 'abcde' }, ['spec.text: Too long: may not be more than 4 bytes']],
      [{ text: 1 }, ['spec.text: Invalid value: "integer": spec.text in body must be of type string: "integer"']],
      [
        { text: 'ab', number: 5 },
        [
          'spec.number: Invalid value: 5: spec.number in body should be less than 5',
          'spec.number: Invalid value: 5: spec.number in body should be a multiple of 2',
        ],
      ],
      [
        { text: 'ab', number: 0 },
        ['spec.number: Invalid value: 0: spec.number in body should be greater than or equal to 1'],
      ],
      [
        { text: 'ab', number: 1.5 },
        ['spec.number: Invalid value: "number": spec.number in body must be of type integer: "number"'],
      ],
      [{ text: 'ab', choice: 'c' }, ['spec.choice: Unsupported value: "c": supported values: "a", "b"']],
      [{ text: 'ab', list: [] }, ['spec.list: Invalid value: 0: spec.list in body should have at least 1 items']],
      [{ text: 'ab', list: ['a', 'b', 'c'] }, ['spec.list: Too many: 3: must have at most 2 items']],
      [
        { text: 'ab', list: [1] },
        ['spec.list[0]: Invalid value: "integer": spec.list[0] in body must be of type string: "integer"'],
      ],
      [{ text: 'ab', set: ['a', 'b', 'a'] }, ['spec.set[2]: Duplicate value: "a"']],
      [
        { text: 'ab', when: 'now' },
        ['spec.when: Invalid value: "now": spec.when in body must be of type date-time: "now"'],
      ],
      [
        { text: 'ab', address: '1.2.3' },
        ['spec.address: Invalid value: "1.2.3": spec.address in body must be of type ipv4: "1.2.3"'],
      ],
      [
        { text: 'ab', map: { a: 'x' } },
        ['spec.map.a: Invalid value: "string": spec.map.a in body must be of type integer: "string"'],
      ],
      [{ text: 'ab', map: { a: 1, b: 2 } }, ['spec.map: Too many: 2: must have at most 1 items']],
      [
        { text: 'ab', either: true },
        ['spec.either: Invalid value: "boolean": spec.either in body must be of type integer,string: "boolean"'],
      ],
    ]
    for (const [spec, wanted] of cases) {
      const refused = await kind.create('x', spec)
      expect([spec, refused.code, causesOf(refused)]).toEqual([spec, 422, wanted])
    }
    const fine = {
      text: 'ab',
      number: 4,
      choice: 'a',
      list: ['a'],
      set: ['a'],
      when: '2020-01-01T00:00:00Z',
      map: { a: 1 },
      either: '5%',
    }
    expect((await kind.create('x', { ...fine, flag: false, address: '10.0.0.1' })).code).toBe(201)
  })

  test('allOf, anyOf, oneOf and not', async () => {
    const types = { a: { type: 'string' }, b: { type: 'string' }, c: { type: 'integer' } }
    const kind = await kindOf(
      inSpec(types, {
        oneOf: [{ required: ['a'] }, { required: ['b'] }],
        not: { required: ['a', 'c'] },
        anyOf: [{ properties: { c: { minimum: 5 } } }, { properties: { c: { maximum: 1 } } }],
      }),
    )
    const both = await kind.create('x', { a: '1', b: '2' })
    expect(causesOf(both)).toEqual([
      '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ])
    const none = await kind.create('x', {})
    expect(none.message).toContain('"spec" must validate one and only one schema (oneOf). Found none valid')
    expect((await kind.create('x', { a: '1', c: 7 })).message).toContain('"spec" must not validate the schema (not)')
    expect((await kind.create('x', { b: '1', c: 3 })).message).toContain(
      '"spec" must validate at least one schema (anyOf)',
    )
    expect((await kind.create('x', { b: '1', c: 7 })).code).toBe(201)
  })

  test('a pattern that would take a backtracking matcher for ever is answered at once', async () => {
    const kind = await kindOf(inSpec({ text: { type: 'string', pattern: '^(a+)+$' } }))
    expect((await kind.create('x', { text: `${'a'.repeat(5_000)}!` })).code).toBe(422)
  })

  test('what is nested without end is refused, as an object and as a schema', async () => {
    const kind = await kindOf({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true })
    const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
    const object = `{"apiVersion":"stable.example.com/v1","kind":"${kind.definition.spec.names.kind}","metadata":{"name":"x"},"a":${deep}}`
    for (const mode of ['Ignore', 'Strict']) {
      expect((await api.ask(`${kind.url}?fieldValidation=${mode}`, { body: object })).code).toBe(400)
      const schema = `${'{"not":'.repeat(50_000)}{}${'}'.repeat(50_000)}`
      const text = JSON.stringify(definition('deeps', 'Deep', [{ schema: 'SCHEMA' as unknown as object }])).replace(
        '"SCHEMA"',
        schema,
      )
      expect((await api.ask(`${all}?fieldValidation=${mode}`, { body: text })).code).toBe(400)
    }
  })

  test('what a schema refuses since it became stricter may stay, and be changed only for the better', async () => {
    const kind = await kindOf(inSpec({ a: { type: 'string' }, b: { type: 'string' } }))
    await kind.create('x', { a: 'UPPER', b: 'one' })
    const [version] = kind.definition.spec.versions
    const stricter = inSpec({ a: { type: 'string', pattern: '^[a-z]+$' }, b: { type: 'string' } })
    const url = definitionUrl(`${kind.plural}.stable.example.com`)
    await api.ask(url, {
      method: 'PATCH',
      body: { spec: { versions: [{ ...version, schema: { openAPIV3Schema: stricter } }] } },
    })
    expect((await kind.create('y', { a: 'UPPER' })).code).toBe(422)
    expect((await kind.patch('x', { b: 'two' })).code).toBe(200)
    expect((await kind.patch('x', { a: 'OTHER' })).code).toBe(422)
    expect((await kind.patch('x', { a: 'lower' })).code).toBe(200)
  })

  test('rules: of an object, of changes, with messages, reasons and fields of their own', async () => {
    const rules = [
      { rule: 'self.min <= self.max', message: 'min must not be over max', fieldPath: '.min' },
      { rule: 'self.max < 100', messageExpression: 'self.max > 150 ? "max is far over" : "max is over"' },
      { rule: 'self.max != 99', messageExpression: '"max must not be " + string(self.max)' },
      { rule: '!has(self.secret)', reason: 'FieldValueForbidden', message: 'no secrets' },
    ]
    const kind = await kindOf(
      inSpec(
        {
          min: { type: 'integer' },
          max: { type: 'integer' },
          secret: { type: 'string' },
          fixed: {
            type: 'string',
            'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'fixed is immutable' }],
          },
          names: {
            type: 'array',
            maxItems: 10,
            items: { type: 'string', maxLength: 20, 'x-kubernetes-validations': [{ rule: "self.startsWith('x-')" }] },
          },
        },
        { required: ['min', 'max'], 'x-kubernetes-validations': rules },
      ),
    )
    expect(causesOf(await kind.create('x', { min: 3, max: 2 }))).toEqual([
      'spec.min: Invalid value: min must not be over max',
    ])
    expect(causesOf(await kind.create('x', { min: 3, max: 200 }))).toEqual(['spec: Invalid value: max is far over'])
    expect(causesOf(await kind.create('x', { min: 3, max: 99 }))).toEqual(['spec: Invalid value: max must not be 99'])
    expect(causesOf(await kind.create('x', { min: 1, max: 2, secret: 's' }))).toEqual(['spec: Forbidden: no secrets'])
    expect(causesOf(await kind.create('x', { min: 1, max: 2, names: ['x-a', 'b'] }))).toEqual([
      'spec.names[1]: Invalid value: "b": failed rule: self.startsWith(\'x-\')',
    ])
    expect(causesOf(await kind.create('x', { min: 'a', max: 2 }))).toEqual([
      'spec.min: Invalid value: "string": spec.min in body must be of type integer: "string"',
      '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
    ])
    expect((await kind.create('x', { min: 1, max: 2, fixed: 'a' })).code).toBe(201)
    expect(causesOf(await kind.patch('x', { fixed: 'b' }))).toEqual([
      'spec.fixed: Invalid value: "b": fixed is immutable',
    ])
    expect((await kind.patch('x', { max: 5 })).code).toBe(200)
  })

  test('rules that cannot be compiled, or may cost too much, are refused with the definition', async () => {
    const withRule = (rule: object, property: object) => {
      const schema = inSpec({ a: { ...property, 'x-kubernetes-validations': [rule] } })
      return api.ask(all, { body: definition('refused', 'Refused', [{ schema }]) })
    }
    const path = 'spec.validation.openAPIV3Schema.properties[spec].properties[a].x-kubernetes-validations[0]'
    const unknown = await withRule(
      { rule: 'self.nothing == 1' },
      { type: 'object', properties: { b: { type: 'integer' } } },
    )
    expect(unknown.code).toBe(422)
    expect(unknown.body.details.causes[0].field).toBe(`${path}.rule`)
    expect(unknown.message).toContain('compilation failed')
    const dear = await withRule(
      { rule: 'self.all(x, self.all(y, x != y))' },
      { type: 'array', items: { type: 'string' } },
    )
    expect(dear.message).toContain(
      `${path}.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x`,
    )
    const items = { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] }
    const schema = inSpec({ a: { type: 'array', maxItems: 5, items } })
    const uncorrelated = await api.ask(all, { body: definition('refused', 'Refused', [{ schema }]) })
    expect(uncorrelated.message).toContain('oldSelf cannot be used on the uncorrelatable portion of the schema within')
  })

  test('a schema must be structural', async () => {
    const root = 'spec.validation.openAPIV3Schema'
    const cases: readonly (readonly [object, string])[] = [
      [{}, `${root}.type: Required value: must not be empty at the root`],
      [
        { type: 'array', items: { type: 'string' } },
        `${root}.type: Invalid value: "array": must be object at the root`,
      ],
      [
        inSpec({ a: {} }),
        `${root}.properties[spec].properties[a].type: Required value: must not be empty for specified object fields`,
      ],
      [
        inSpec({ a: { type: 'array' } }),
        `${root}.properties[spec].properties[a].items: Required value: must be specified`,
      ],
      [
        { type: 'object', anyOf: [{ properties: { b: { minimum: 1 } } }] },
        `${root}.properties[b]: Required value: because it is defined in ${root}.anyOf[0].properties[b]`,
      ],
      [
        { type: 'object', oneOf: [{ type: 'object' }] },
        `${root}.oneOf[0].type: Forbidden: must be empty to be structural`,
      ],
      [
        inSpec({ a: { type: 'strange' } }),
        `${root}.properties[spec].properties[a].type: Unsupported value: "strange": supported values: "array", "boolean", "integer", "number", "object", "string"`,
      ],
      [
        inSpec({ a: { type: 'string', pattern: '(' } }),
        `${root}.properties[spec].properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): \`(\``,
      ],
      [
        inSpec({ a: { type: 'string', default: 1 } }),
        `${root}.properties[spec].properties[a].default: Invalid value: "integer"`,
      ],
      [
        inSpec({ a: { type: 'object', properties: {}, default: { x: 1 } } }),
        `${root}.properties[spec].properties[a].default: Invalid value: {"x":1}: must not have unknown fields`,
      ],
      [
        inSpec({
          a: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
            items: { type: 'object', properties: { k: { type: 'string' } } },
          },
        }),
        `${root}.properties[spec].properties[a].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
      ],
      [
        { type: 'object', properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } },
        `${root}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified`,
      ],
      [
        inSpec({
          a: { type: 'object', properties: { b: { type: 'string' } }, additionalProperties: { type: 'string' } },
        }),
        `${root}.properties[spec].properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
      ],
      [
        inSpec({ a: { type: 'array', uniqueItems: true, items: { type: 'string' } } }),
        `${root}.properties[spec].properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
      ],
    ]
    for (const [schema, wanted] of cases) {
      const refused = await api.ask(all, { body: definition('formless', 'Formless', [{ schema }]) })
      expect([schema, refused.code]).toEqual([schema, 422])
      expect(causesOf(refused).join('\n')).toContain(wanted)
    }
  })

  test('names, versions, scope, scale paths, columns, selectable fields and conversion', async () => {
    const good = definition('goods', 'Good', [{}])
    const versioned = (more: object) =>
      definition('goods', 'Good', [{ schema: inSpec({ a: { type: 'string' }, o: { type: 'object' } }), ...more }])
    const cases: readonly (readonly [object, string])[] = [
      [
        { ...good, metadata: { name: 'other.stable.example.com' } },
        'metadata.name: Invalid value: "other.stable.example.com": must be spec.names.plural+"."+spec.group',
      ],
      [
        { ...good, spec: { ...good.spec, scope: 'World' } },
        'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"',
      ],
      [
        definition('goods', 'Good', [{}, { name: 'v2', storage: true }]),
        'must have exactly one version marked as storage version',
      ],
      [definition('goods', 'Good', [{}, { name: 'v1', storage: false }]), 'must contain unique version names'],
      [
        definition('goods', 'Good', [{}], { preserveUnknownFields: true }),
        'spec.preserveUnknownFields: Invalid value: true: cannot set to true',
      ],
      [
        definition('goods', 'Good', [{}], {}, { listKind: 'Good' }),
        'spec.names.listKind: Invalid value: "Good": kind and listKind may not be the same',
      ],
      [
        versioned({ subresources: { scale: { specReplicasPath: '.status.a', statusReplicasPath: '.status.b' } } }),
        'spec.subresources.scale.specReplicasPath: Invalid value: ".status.a": should be a json path under .spec',
      ],
      [
        versioned({ additionalPrinterColumns: [{ name: 'a', type: 'object', jsonPath: 'spec' }] }),
        'spec.additionalPrinterColumns[0].type: Invalid value: "object": must be one of boolean,date,integer,number,string',
      ],
      [
        versioned({ selectableFields: [{ jsonPath: '.spec.b' }] }),
        'spec.selectableFields[0].jsonPath: Invalid value: ".spec.b": is an invalid path: does not refer to a valid field',
      ],
      [
        versioned({ selectableFields: [{ jsonPath: '.spec.o' }] }),
        'must point to a field of type string, boolean or integer',
      ],
      [
        versioned({ deprecationWarning: 'x' }),
        'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions',
      ],
      [
        definition('goods', 'Good', [{}], { conversion: { strategy: 'Webhook' } }),
        'spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook',
      ],
      [
        definition('goods', 'Good', [{}], {
          conversion: {
            strategy: 'Webhook',
            webhook: { conversionReviewVersions: ['v9'], clientConfig: { url: 'http://x' } },
          },
        }),
        'must include at least one of v1, v1beta1',
      ],
    ]
    for (const [body, wanted] of cases) {
      const refused = await api.ask(all, { body })
      expect([wanted, refused.code]).toEqual([wanted, 422])
      expect(causesOf(refused).join('\n')).toContain(wanted)
    }
    const foreign = {
      ...good,
      metadata: { name: 'goods.stable.k8s.io' },
      spec: { ...good.spec, group: 'stable.k8s.io' },
    }
    const unapproved = await api.ask(all, { body: foreign })
    expect(unapproved.message).toContain('protected groups must have approval annotation "api-approved.kubernetes.io"')
    const annotations = { 'api-approved.kubernetes.io': 'unapproved, a test' }
    const approved = { ...foreign, metadata: { ...foreign.metadata, annotations } }
    expect((await api.ask(all, { body: approved })).code).toBe(201)
    await until(
      () => api.ask('/apis/stable.k8s.io/v1/goods'),
      ({ code }) => code === 200,
    )
  })

  test('the status says whether a group of the community was approved, and who changes another thing may', async () => {
    const name = 'blessings.said.k8s.io'
    const key = 'api-approved.kubernetes.io'
    const say = (given: string | null) => ({ metadata: { annotations: { [key]: given } } })
    const { metadata, spec, ...rest } = definition('blessings', 'Blessing', [{}])
    const annotations = { [key]: 'unapproved, a test' }
    const body = { ...rest, metadata: { ...metadata, name, annotations }, spec: { ...spec, group: 'said.k8s.io' } }
    expect((await api.ask(all, { body })).code).toBe(201)
    const condition = async (status: string) => {
      const found = await until(
        () => api.ask(`${all}/${name}`),
        ({ body: { status: s } }) =>
          (s?.conditions ?? []).some(
            (one: { type: string; status: string }) => one.type === type && one.status === status,
          ),
      )
      return found.body.status.conditions.find((one: { type: string }) => one.type === type)
    }
    const type = 'KubernetesAPIApprovalPolicyConformant'
    expect(await condition('False')).toMatchObject({
      reason: 'UnapprovedAnnotation',
      message: 'not approved: "unapproved, a test"',
    })
    const change = (given: object) =>
      api.ask(`${all}/${name}`, { method: 'PATCH', type: 'application/merge-patch+json', body: given })
    const url = 'https://github.com/kubernetes/kubernetes/pull/1'
    expect((await change(say(url))).code).toBe(200)
    expect(await condition('True')).toMatchObject({ reason: 'ApprovedAnnotation', message: `approved in ${url}` })
    expect((await change(say('perhaps'))).code).toBe(422)
    expect((await change(say(null))).code).toBe(422)
    expect((await change({ metadata: { labels: { a: 'b' } } })).code).toBe(200)
  })

  test('a definition whose webhook has CAs that nobody can read waits for better ones, and keeps good ones', async () => {
    const bundled = (caBundle: string) => ({
      strategy: 'Webhook',
      webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://converts.example.com/x', caBundle } },
    })
    const made = definition('bundles', 'Bundle', [{}], { conversion: bundled('Cg==') })
    const { code, body } = await api.ask(all, { body: made })
    expect(code).toBe(201)
    const { name } = body.metadata
    const waiting = await until(
      () => api.ask(`${all}/${name}`),
      ({ body: { status } }) => (status?.conditions ?? []).length > 0,
    )
    expect(waiting.body.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Established', status: 'False', reason: 'InvalidCABundle' }),
    )
    const change = (caBundle: string) =>
      api.ask(`${all}/${name}`, {
        method: 'PATCH',
        type: 'application/merge-patch+json',
        body: { spec: { conversion: bundled(caBundle) } },
      })
    const pem = (inner: string) =>
      Buffer.from(`-----BEGIN CERTIFICATE-----\n${inner}\n-----END CERTIFICATE-----\n`).toString('base64')
    expect((await change(pem('AAAA'))).code).toBe(200)
    const { ca } = await certificates()
    expect((await change(Buffer.from(ca).toString('base64'))).code).toBe(200)
    await until(
      () => api.ask(`${all}/${name}`),
      ({ body: found }) => has(found, 'Established', 'True'),
    )
    const worse = await change('Cg==')
    expect(causesOf(worse)).toEqual([
      'spec.conversion.webhookClientConfig.caBundle: Invalid value: []byte{0xa}: unable to load root certificates: unable to parse bytes as PEM block',
    ])
    expect(
      (
        await api.ask(`${all}/${name}`, {
          method: 'PATCH',
          type: 'application/merge-patch+json',
          body: { metadata: { labels: { a: 'b' } } },
        })
      ).code,
    ).toBe(200)
  })

  test('a rule names a field that there is, and a default passes the rules', async () => {
    const rule = 'self.few <= 3'
    const properties = {
      few: { type: 'integer', default: 1 },
      names: { type: 'object', additionalProperties: { type: 'string' } },
      list: { type: 'array', items: { type: 'string' } },
    }
    const refused = async (schema: object) => {
      count += 1
      const answer = await api.ask(`${all}?dryRun=All`, {
        body: definition(`dry${count}`, `Dry${count}`, [{ schema }]),
      })
      return answer.code === 201 ? [] : causesOf(answer)
    }
    const named = (fieldPath: string) =>
      refused(inSpec(properties, { 'x-kubernetes-validations': [{ rule, fieldPath }] }))
    const at = 'spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].fieldPath'
    for (const path of ['.few', "['few']", '.names.any', ".names['a.b']"])
      expect([path, await named(path)]).toEqual([path, []])
    for (const path of ['few', '.none', '.few.none', '.list[0]', '$.few', '.list[*]', '.names..any']) {
      expect(await named(path)).toEqual([
        `${at}: Invalid value: ${JSON.stringify(path)}: fieldPath must be a valid path`,
      ])
    }
    const ruled = (value: number) => ({
      ...inSpec({ few: { type: 'integer' } }, { default: { few: value }, 'x-kubernetes-validations': [{ rule }] }),
    })
    expect(await refused(ruled(3))).toEqual([])
    expect(await refused(ruled(4))).toEqual([
      'spec.validation.openAPIV3Schema.properties[spec].default: Invalid value: failed rule: self.few <= 3',
    ])
    const inner = { few: { type: 'integer', default: 4, 'x-kubernetes-validations': [{ rule: 'self < 4' }] } }
    expect(await refused(inSpec(inner))).toEqual([
      'spec.validation.openAPIV3Schema.properties[spec].properties[few].default: Invalid value: 4: failed rule: self < 4',
    ])
  })
})
