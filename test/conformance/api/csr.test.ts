import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { certificateSigningRequest } from '../../../src/api/kinds/certificatesigningrequest.ts'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { certificates } from '../../apiserver/certificates.ts'
import { installed, Kubectl } from '../../apiserver/kubectl.ts'
import { certificateRequest, requestNamed } from '../../apiserver/requests.ts'
import { servedApiserver } from '../../apiserver/served.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { walkThrough } from './operations.ts'

const root = '/apis/certificates.k8s.io/v1'
const at = `${root}/certificatesigningrequests`
const request = await certificateRequest({ user: 'jane', groups: ['devs'] })
const approved = { type: 'Approved', status: 'True', reason: 'Tested', message: 'by hand' }
const denied = { ...approved, type: 'Denied' }

describe('csr', () => {
  walkThrough({
    root,
    resource: 'certificatesigningrequests',
    kind: 'CertificateSigningRequest',
    shortNames: ['csr'],
    subresources: ['approval', 'status'],
    make: i => requestNamed(`csr-${i}`, request, { signerName: 'example.com/walk', expirationSeconds: 3_600 }),
    status: {
      patch: { conditions: [{ type: 'Checked', status: 'True' }] },
      expected: { conditions: [{ type: 'Checked', status: 'True', lastUpdateTime: expect.any(String) }] },
    },
    columns: ['Name', 'Age', 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'],
    cells: ['csr-0', 'example.com/walk', 'admin', '60m', 'Pending'],
  })

  describe('who may change what', () => {
    let api: Awaited<ReturnType<typeof testApiserver>>
    let ask: Asking
    let serverPem: string
    let otherPem: string
    beforeAll(async () => {
      api = await testApiserver()
      ask = asking(api)
      const { server, ca } = await certificates()
      serverPem = Buffer.from(server.cert).toString('base64')
      otherPem = Buffer.from(ca).toString('base64')
    })
    afterAll(() => api.stop())
    const make = (name: string, spec: object = {}) => ask(at, { body: requestNamed(name, request, spec) })
    const put = async (name: string, subresource: string, change: (status: object) => object) => {
      const { body } = await ask(`${at}/${name}`)
      return ask(`${at}/${name}/${subresource}`, { method: 'PUT', body: { ...body, status: change(body.status) } })
    }

    test('it says who asks, whatever the request says', async () => {
      const { body } = await make('who', {
        username: 'somebody',
        groups: ['system:masters'],
        uid: 'x',
        extra: { a: ['b'] },
      })
      expect(body.spec).toMatchObject({ username: 'admin', groups: ['system:masters', 'system:authenticated'] })
      expect(body.spec.uid).toBeUndefined()
      expect(body.spec.extra).toBeUndefined()
    })

    test('what was asked never changes, by no path', async () => {
      const { body } = await make('fixed')
      for (const path of ['', '/status', '/approval']) {
        const spec = { ...body.spec, signerName: 'example.com/other', usages: ['any'] }
        const { resourceVersion: _, ...metadata } = body.metadata
        const after = await ask(`${at}/fixed${path}`, { method: 'PUT', body: { ...body, metadata, spec } })
        expect(after.body.spec).toEqual(body.spec)
      }
    })

    test('approval stands in /approval alone, with the times at which it came', async () => {
      await make('approved')
      const byMain = await ask(`${at}/approved`, { method: 'PATCH', body: { status: { conditions: [approved] } } })
      expect(byMain.body.status.conditions).toBeUndefined()
      const byStatus = await put('approved', 'status', () => ({ conditions: [approved] }))
      expect(byStatus.message).toContain(
        'status.conditions: Forbidden: updates may not add a condition of type "Approved"',
      )
      const right = await put('approved', 'approval', () => ({ conditions: [approved], certificate: serverPem }))
      expect(right.body.status.conditions).toMatchObject([
        { ...approved, lastUpdateTime: expect.any(String), lastTransitionTime: expect.any(String) },
      ])
      expect(right.body.status.certificate).toBeUndefined()
      const read = await ask(`${at}/approved/approval`)
      expect(read.body).toEqual(right.body)
      const gone = await put('approved', 'approval', () => ({ conditions: [] }))
      expect(gone.message).toContain('updates may not remove a condition of type "Approved"')
      const both = await put('approved', 'approval', () => ({ conditions: [approved, denied] }))
      expect(both.message).toContain('Approved and Denied conditions are mutually exclusive')
      const untrue = await put('approved', 'approval', () => ({ conditions: [{ ...approved, status: 'False' }] }))
      expect(untrue.message).toContain(
        'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
      )
    })

    test('the certificate is set once, by /status, and leaves the decision alone', async () => {
      await make('issued')
      await put('issued', 'approval', () => ({ conditions: [approved] }))
      for (const wrong of [
        Buffer.from('no PEM at all'),
        Buffer.from('-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n'),
      ]) {
        const refused = await put('issued', 'status', status => ({ ...status, certificate: wrong.toString('base64') }))
        expect([refused.code, refused.message]).toEqual([
          422,
          expect.stringContaining('status.certificate: Invalid value'),
        ])
      }
      const other = { conditions: [{ ...approved, message: 'changed' }], certificate: serverPem }
      const issued = await put('issued', 'status', () => other)
      expect(issued.message).toBe('')
      expect(issued.body.status.conditions).toMatchObject([approved])
      const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
      expect((await ask(`${at}/issued`, { accept })).body.rows[0].cells.at(-1)).toBe('Approved,Issued')
      const again = await put('issued', 'status', status => ({ ...status, certificate: otherPem }))
      expect(again.message).toContain('updates may not modify existing certificate content')
    })

    test('who may write the approval must also have the right to approve for that signer; the same for signing', async () => {
      const rbac = '/apis/rbac.authorization.k8s.io/v1'
      const group = 'certificates.k8s.io'
      const grant = async (name: string, user: string, rule: object) => {
        await ask(`${rbac}/clusterroles`, { body: { metadata: { name }, rules: [{ apiGroups: [group], ...rule }] } })
        const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name }
        const subjects = [{ apiGroup: roleRef.apiGroup, kind: 'User', name: user }]
        const { message } = await ask(`${rbac}/clusterrolebindings`, {
          body: { metadata: { name }, roleRef, subjects },
        })
        expect(message).toBe('')
      }
      const changes = {
        approve: { subresource: 'approval', status: { conditions: [approved] }, why: 'approve' },
        sign: { subresource: 'status', status: { certificate: serverPem }, why: 'sign' },
      }
      for (const [verb, { subresource, status, why }] of Object.entries(changes)) {
        await make(verb)
        const resources = [`certificatesigningrequests/${subresource}`]
        await grant(`write-${subresource}`, verb, { verbs: ['patch'], resources })
        const act = () => {
          const identity = { user: verb, groups: [] }
          return ask(`${at}/${verb}/${subresource}`, { method: 'PATCH', body: { status }, identity })
        }
        const refused = await act()
        const signer = '"kubernetes.io/kube-apiserver-client"'
        expect([refused.code, refused.message]).toEqual([
          403,
          `certificatesigningrequests.${group} "${verb}" is forbidden: user not permitted to ${why} requests with signerName ${signer}`,
        ])
        const resourceNames = [verb === 'approve' ? 'kubernetes.io/*' : 'kubernetes.io/kube-apiserver-client']
        await grant(`${verb}-signers`, verb, { verbs: [verb], resources: ['signers'], resourceNames })
        expect((await act()).message).toBe('')
      }
    })

    test('a request that nobody signed with its key is refused, and so is one for system:masters', async () => {
      const der = Buffer.from(
        Buffer.from(request, 'base64')
          .toString()
          .replace(/-----[^-]+-----|\n/g, ''),
        'base64',
      )
      const last = der.length - 1
      der[last] = (der[last] ?? 0) ^ 1
      const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
      const forged = await ask(at, { body: requestNamed('forged', Buffer.from(pem).toString('base64')) })
      expect([forged.code, forged.message]).toEqual([422, expect.stringContaining('spec.request: Invalid value')])
      const none = await ask(at, { body: requestNamed('none', Buffer.from('hello').toString('base64')) })
      expect(none.message).toContain('PEM block type must be CERTIFICATE REQUEST')
      // Lines that a pattern could read as headers in two ways each.
      const lines = ' a: b\n'.repeat(200)
      const odd = `-----BEGIN CERTIFICATE REQUEST-----\n${lines}*\n-----END CERTIFICATE REQUEST-----\n`
      for (const text of [odd, odd.replace(lines, `${btoa(odd)}\n`).replace('*\n', '')]) {
        const patient = await ask(at, { body: requestNamed('odd', Buffer.from(text).toString('base64')) })
        expect(patient.message).toContain('spec.request: Invalid value')
      }
      const huge = await ask(at, { body: requestNamed('huge', btoa(atob(request) + '\n'.repeat(65_536))) })
      expect(huge.message).toContain('spec.request: Too long: may not be more than 65536 bytes')
      const masters = await certificateRequest({ user: 'jane', groups: ['system:masters'] })
      const greedy = await ask(at, { body: requestNamed('greedy', masters) })
      expect([greedy.code, greedy.message]).toEqual([
        403,
        'certificatesigningrequests.certificates.k8s.io "greedy" is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
      ])
    })
  })

  describe('validation', () => {
    let api: Awaited<ReturnType<typeof testApiserver>>
    beforeAll(async () => {
      api = await testApiserver()
    })
    afterAll(() => api.stop())
    test.each([
      ['spec.usages', { usages: [] }],
      ['spec.usages[0]', { usages: ['to party'] }],
      ['spec.usages[1]', { usages: ['any', 'any'] }],
      ['spec.usages', { usages: Array.from({ length: 100_000 }, (_, i) => `${i}`) }],
      ['spec.signerName', { signerName: 'kubernetes.io/legacy-unknown' }],
      ['spec.signerName', { signerName: 'nothing' }],
      ['spec.signerName', { signerName: 'Example.com/x' }],
      ['spec.signerName', { signerName: 'example.com/X' }],
      ['spec.signerName', { signerName: '' }],
      ['spec.expirationSeconds', { expirationSeconds: 599 }],
    ])('%s', async (field, spec) => {
      const { code, body } = await asking(api)(at, { body: requestNamed('wrong', request, spec) })
      expect(code).toBe(422)
      expect(body.details.causes.map((cause: { field: string }) => cause.field)).toContain(field)
    })
  })

  test('is found by its signer', async () => {
    const api = await testApiserver()
    const ask = asking(api)
    await ask(at, { body: requestNamed('a', request) })
    await ask(at, { body: requestNamed('b', request, { signerName: 'example.com/b' }) })
    const { body } = await ask(`${at}?fieldSelector=spec.signerName%3Dexample.com/b`)
    expect(body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['b'])
    api.stop()
  })

  describe.each(installed(['1.27', '1.33']))('kubectl %s', version => {
    test('certificate approve and deny', async () => {
      const api = await servedApiserver()
      const kubectl = new Kubectl(version, api.kubeconfig, api.folder)
      for (const name of ['good', 'bad']) {
        await api.client.create(certificateSigningRequest, requestNamed(name, request), api.signal)
      }
      expect(await kubectl.ok('certificate approve good')).toContain('good approved')
      expect(await kubectl.ok('certificate deny bad')).toContain('bad denied')
      const shown = await kubectl.ok('get csr')
      expect(shown).toMatch(/NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION/)
      expect(shown).toMatch(/bad .* Denied/)
      expect(shown).toMatch(/good .* Approved/)
      await api.close()
    })
  })
})
