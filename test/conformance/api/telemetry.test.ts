// What the API server says of itself at /metrics.
import { describe, expect, test } from 'vitest'
import { Telemetry } from '../../../src/apiserver/telemetry.ts'
import { admin, request, testApiserver } from '../../apiserver/setup.ts'

async function opened() {
  const api = await testApiserver()
  const get = async (url: string, more: Parameters<typeof request>[1] = {}) =>
    await api.apiserver.handle(request(url, more))
  const metrics = async () => {
    const answer = await get('/metrics')
    if (answer.kind !== 'whole') throw new Error('not whole')
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    return String(answer.body)
  }
  return { ...api, get, metrics }
}

const labels = (resource: string, scope: string, verb: string) =>
  `component="apiserver",group="",resource="${resource}",scope="${scope}",subresource="",verb="${verb}",version="v1"`

describe('telemetry', () => {
  test('requests are counted by what they ask for and what came of them', async () => {
    const { get, metrics, stop } = await opened()
    await get('/api/v1/nodes')
    await get('/api/v1/nodes')
    await get('/api/v1/namespaces/default/pods/none')
    await get('/api/v1/nodes', { identity: { user: 'eve', groups: [] } })
    const text = await metrics()
    expect(text).toContain(`apiserver_request_total{code="200",${labels('nodes', 'cluster', 'LIST')}} 2\n`)
    expect(text).toContain(`apiserver_request_total{code="403",${labels('nodes', 'cluster', 'LIST')}} 1\n`)
    expect(text).toContain(`apiserver_request_total{code="404",${labels('pods', 'resource', 'GET')}} 1\n`)
    expect(text).toContain(`apiserver_request_duration_seconds_count{${labels('nodes', 'cluster', 'LIST')}} 3\n`)
    expect(text).toContain(
      `apiserver_request_duration_seconds_bucket{${labels('nodes', 'cluster', 'LIST')},le="+Inf"} 3\n`,
    )
    stop()
  })

  test('a watch is open until its client is gone', async () => {
    const { get, metrics, stop } = await opened()
    const gone = new AbortController()
    await get('/api/v1/nodes?watch=true', { signal: gone.signal })
    const line = `apiserver_longrunning_requests{${labels('nodes', 'cluster', 'WATCH')}}`
    expect(await metrics()).toContain(`${line} 1\n`)
    gone.abort()
    const text = await metrics()
    expect(text).not.toContain(line)
    expect(text).toContain(`apiserver_request_total{code="200",${labels('nodes', 'cluster', 'WATCH')}} 1\n`)
    expect(text).not.toContain(`apiserver_request_duration_seconds_count{${labels('nodes', 'cluster', 'WATCH')}}`)
    stop()
  })

  test('nobody makes it remember more by asking for what is not there (D3)', async () => {
    const { get, metrics, stop } = await opened()
    const lines = async () => (await metrics()).split('\n').length
    await get('/apis/x0.example.com/v1/things')
    await get('/x0')
    await get('/api/v1/namespaces/..%2f/pods')
    await metrics()
    const before = await lines()
    for (let i = 1; i < 50; i++) {
      await get(`/apis/x${i}.example.com/v1/things`)
      await get(`/x${i}`)
      await get(`/api/v1/namespaces/..%2f${i}/pods`)
    }
    expect(await lines()).toBe(before)
    expect(await metrics()).not.toContain('example.com')
    stop()
  })

  test('store, raft and build are told, to those who may know', async () => {
    const { get, metrics, store, stop } = await opened()
    const text = await metrics()
    expect(text).toContain(`\nflotilla_store_revision ${store.revision()}\n`)
    expect(text).toContain('\nflotilla_raft_role{role="leader"} 1\n')
    expect(text).toMatch(/\nkubernetes_build_info\{.*git_version="v1\.33\.0\+flotilla-test".*\} 1\n/)
    expect(text).toMatch(/\nprocess_resident_memory_bytes \d+\n/)
    expect(await get('/metrics', { identity: { user: 'eve', groups: [] } })).toMatchObject({ code: 403 })
    expect(await get('/metrics', { identity: admin })).toMatchObject({ code: 200 })
    stop()
  })

  test('buckets hold what is in the smaller ones too', () => {
    const telemetry = new Telemetry()
    const what = { labels: 'verb="GET"', long: false, mutating: false }
    for (const seconds of [0.001, 0.03, 0.03, 100]) {
      telemetry.begun(what)
      telemetry.ended(what, 200, seconds)
    }
    const lines = telemetry.lines()
    const bucket = (end: string) =>
      lines
        .find(line => line.includes(`le="${end}"`))
        ?.split(' ')
        .at(-1)
    expect([bucket('0.005'), bucket('0.025'), bucket('0.05'), bucket('60'), bucket('+Inf')]).toEqual([
      '1',
      '1',
      '3',
      '3',
      '4',
    ])
    expect(lines).toContain('apiserver_current_inflight_requests{request_kind="readOnly"} 0')
  })
})
