// The main job on real parts: three hosts, an application applied to one peer, reached from everywhere.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addressOf, example, get, hosts, kubectl, on, podsOf, until } from './cluster.ts'

beforeAll(async () => {
  const k = await kubectl(3)
  await k(['apply', '-f', example])
  await k('-n web rollout status deployment/web --timeout=120s')
})
afterAll(async () => {
  await (await kubectl(3))(['delete', '-f', example, '--timeout=90s'])
})

test('every peer says that all nodes are Ready', async () => {
  for (const host of hosts) {
    const k = await kubectl(host)
    await k('wait --for=condition=Ready node/host1 node/host2 node/host3 --timeout=60s')
  }
})

test('pods spread over the hosts and run in Docker', async () => {
  const pods = await podsOf(await kubectl(1), 'web')
  expect(pods.length).toBe(6)
  expect(new Set(pods.map(pod => pod.spec.nodeName))).toEqual(new Set(['host1', 'host2', 'host3']))
  for (const pod of pods) expect(pod.status.containerStatuses?.[0]?.containerID).toMatch(/^docker:\/\/[0-9a-f]{64}$/)
})

/** Asks until pods of all three hosts have answered. */
async function answersFromEverywhere(host: number, url: string): Promise<void> {
  const seen = new Set<string>()
  await until(`pods of all hosts answer host${host} at ${url}; so far ${[...seen].join()}`, 30_000, async () => {
    const answer = await get(host, url)
    if (answer !== undefined) seen.add(answer.split(' on ')[1] ?? answer)
    return seen.size === 3
  })
}

for (const host of hosts) {
  test(`from host${host} the Service answers from a pod on every host by its ClusterIP`, async () => {
    const ip = await (await kubectl(host))(['-n', 'web', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}'])
    await answersFromEverywhere(host, `http://${ip}/cgi-bin/who`)
  })

  test(`from host${host} the Service answers by the NodePort of every host`, async () => {
    for (const other of hosts) await answersFromEverywhere(host, `http://${addressOf(other)}:30080/cgi-bin/who`)
  })

  test(`a pod on host${host} reaches the Service by its DNS name`, async () => {
    const k = await kubectl(host)
    const pod = (await podsOf(k, 'web')).find(one => one.spec.nodeName === `host${host}`)
    const seen = new Set<string>()
    await until('pods of all hosts answer by DNS name', 60_000, async () => {
      for (const name of ['web', 'web.web.svc.cluster.local']) {
        const ask = `printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc ${name} 80`
        const out = await k(['-n', 'web', 'exec', pod?.metadata.name ?? '', '--', 'sh', '-c', ask])
        seen.add(/ on (host\d)/.exec(out)?.[1] ?? out)
      }
      return seen.size === 3
    })
  })

  test(`the DNS server of host${host} answers for the Service on the host itself`, async () => {
    const { stdout } = await on(host, ['busybox', 'nslookup', 'web.web.svc.cluster.local', '169.254.20.10'])
    expect(stdout).toMatch(/Address.*10\.43\./)
  })
}
