// Helm, unmodified: a chart with hooks, a CRD and more than ten kinds through its whole life, against each peer in turn.
import * as path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { kubeconfig } from '../../testnet/agent.ts'
import { run } from '../../testnet/command.ts'
import { onHost } from '../../testnet/hosts.ts'
import { helmBinary } from '../clients.ts'
import { kubectl, testnet, until } from './cluster.ts'

const chart = path.resolve(import.meta.dirname, 'chart')
const helmPath = helmBinary()

async function helm(peer: number, args: string): Promise<string> {
  const { net } = await testnet()
  const command = [helmPath ?? 'helm', `--kubeconfig=${kubeconfig(net, peer)}`, '--namespace=helm', ...args.split(' ')]
  return (await run(onHost(net, peer, command), { timeoutMs: 150_000 })).stdout
}

const kinds =
  'serviceaccount,configmap,secret,role,rolebinding,deployment,service,poddisruptionbudget,hpa,ingress,networkpolicy,order'

test.skipIf(helmPath === undefined)(
  'install, test, upgrade, a failed upgrade, rollback and uninstall of a chart',
  { timeout: 400_000 },
  async () => {
    const k = await kubectl(1)
    const greeting = () => k('-n helm get configmap shop -o jsonpath={.data.greeting}')

    const installed = await helm(1, `install shop ${chart} --create-namespace --wait --timeout=120s`)
    expect(installed).toMatch(/STATUS: deployed[\s\S]*shop greets with hello/)
    const all = await k(`-n helm get ${kinds} -o name`)
    for (const kind of kinds.split(',').filter(name => name !== 'hpa')) expect(all).toContain(kind)
    expect(await k('-n helm get order shop --no-headers')).toMatch(/^shop\s+hello\s+1\s/)
    expect(await helm(2, 'list')).toMatch(/^shop\s+helm\s+1\s.*deployed\s+shop-0\.1\.0/m)
    expect(await helm(3, 'test shop --timeout=60s')).toMatch(/Phase:\s+Succeeded/)

    await helm(2, `upgrade shop ${chart} --set greeting=welcome,replicas=3 --wait --timeout=120s`)
    expect(await greeting()).toBe('welcome')
    expect(await k('-n helm get deployment shop -o jsonpath={.status.readyReplicas}')).toBe('3')
    await expect(helm(3, `upgrade shop ${chart} --set failUpgrade=true --timeout=60s`)).rejects.toThrow(
      /pre-upgrade hooks failed/,
    )
    expect(await helm(1, 'history shop')).toMatch(/superseded[\s\S]*deployed[\s\S]*failed/)

    await helm(3, 'rollback shop 1 --wait --timeout=120s')
    expect(await greeting()).toBe('hello')
    expect(await helm(1, 'get values shop --revision=2')).toMatch(/greeting: welcome/)
    expect(await helm(1, 'status shop')).toMatch(/REVISION: 4/)
    expect(await helm(2, `upgrade --install second ${chart} --dry-run=server`)).toMatch(/second greets with hello/)

    await helm(2, 'uninstall shop --wait --timeout=120s')
    expect(await helm(1, 'list -q')).toBe('')
    await until(
      'nothing of it is left',
      60_000,
      async () => (await k('-n helm get deployment,service,order -o name')) === '',
    )
    // A chart's CRDs stay, as Helm promises.
    expect(await k('get crd orders.shop.example.com -o name')).toMatch(/orders/)
  },
)

afterAll(async () => {
  const k = await kubectl(1)
  await k('delete crd orders.shop.example.com --ignore-not-found')
  await k('delete namespace helm --ignore-not-found --timeout=90s')
})
