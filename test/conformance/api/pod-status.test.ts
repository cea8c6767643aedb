// What may be told of a pod by its status (kubernetes-api.md A: pods).
import { describe, expect, test } from 'vitest'
import { podNamed } from '../../apiserver/ask.ts'
import { type Answer, oneApi, patch, post } from './wire.ts'

const pods = '/api/v1/namespaces/default/pods'
const causesOf = ({ body }: Answer) =>
  body.details?.causes?.map(({ field = '', message }) => `${field}: ${message}`) ?? []

describe('pod status', () => {
  const one = oneApi()
  const tell = async (name: string, status: object) => {
    await post(one.api, pods, podNamed(name))
    return patch(one.api, `${pods}/${name}/status`, 'merge', { status })
  }

  test('the first address stands in both fields, and podIP counts where they differ', async () => {
    const alone = await tell('alone', { podIP: '10.1.0.1' })
    expect(alone.body['status']).toMatchObject({ podIP: '10.1.0.1', podIPs: [{ ip: '10.1.0.1' }] })
    const both = [{ ip: '10.1.0.2' }, { ip: 'fd00::2' }]
    expect((await tell('listed', { podIPs: both })).body['status']).toMatchObject({ podIP: '10.1.0.2', podIPs: both })
    const differing = await tell('listed', { podIP: '10.1.0.3' })
    expect(differing.body['status']).toMatchObject({ podIP: '10.1.0.3', podIPs: [{ ip: '10.1.0.3' }] })
    const gone = await tell('listed', { podIP: null, podIPs: null })
    expect(gone.body['status']).not.toHaveProperty('podIP')
  })

  test('addresses are addresses, one of each family, and the first of the host is the host’s', async () => {
    const valid = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
    expect(causesOf(await tell('wrong', { podIP: 'here' }))).toEqual([
      `status.podIPs[0]: Invalid value: "here": ${valid}`,
    ])
    const podIPs = [{ ip: '10.1.0.1' }, { ip: '10.1.0.2' }]
    expect(causesOf(await tell('wrong', { podIPs }))).toEqual([
      `status.podIPs: Invalid value: ${JSON.stringify(podIPs)}: may specify no more than one IP for each IP family`,
    ])
    expect(causesOf(await tell('wrong', { hostIP: '10.0.0.1', hostIPs: [{ ip: '10.0.0.2' }] }))).toEqual([
      'status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`',
    ])
    expect((await tell('wrong', { hostIP: '10.0.0.1', hostIPs: [{ ip: '10.0.0.1' }] })).code).toBe(200)
  })

  test('names are names: of conditions, of the node it is nominated for, of claims it has', async () => {
    const conditions = [{ type: 'no name', status: 'True' }]
    const resourceClaimStatuses = [{ name: 'none', resourceClaimName: 'x' }]
    expect(causesOf(await tell('named', { conditions, nominatedNodeName: 'No', resourceClaimStatuses }))).toEqual([
      expect.stringMatching(/^metadata\.conditions\[0\]\.Type: Invalid value: "no name": /),
      expect.stringMatching(/^status\.nominatedNodeName: Invalid value: "No": /),
      'status.resourceClaimStatuses[0].name: Invalid value: "none": must match the name of an entry in `spec.resourceClaims`',
    ])
    const told = { conditions: [{ type: 'a.test/ready', status: 'True' }], nominatedNodeName: 'n1' }
    expect((await tell('named', told)).code).toBe(200)
  })
})
