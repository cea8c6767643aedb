// What kubectl says when a webhook refuses: also where the connection was to become another protocol.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { peerId } from '../../../src/world/network.ts'
import { asking, podNamed } from '../../apiserver/ask.ts'
import { fakeKubelet } from '../../apiserver/fake-kubelet.ts'
import { installed, Kubectl } from '../../apiserver/kubectl.ts'
import { servedApiserver } from '../../apiserver/served.ts'
import { type TestWebhook, testWebhook } from '../../apiserver/webhook.ts'

let api: Awaited<ReturnType<typeof servedApiserver>>
let hook: TestWebhook

beforeAll(async () => {
  const kubelet = fakeKubelet()
  api = await servedApiserver({ peerOfNode: peerId, kubeletOf: () => kubelet.open() })
  hook = await testWebhook()
  hook.answer('/attach', () => ({
    allowed: false,
    status: { message: "attaching to pod 'to-be-attached-pod' is not allowed" },
  }))
  hook.answer('/maps', ({ object }) => ({
    allowed: object.data?.bad === undefined,
    status: { message: 'the configmap contains unwanted key and value' },
    warnings: ['looked at by a webhook'],
  }))
  const webhook = (name: string, operations: readonly string[], resources: readonly string[]) => ({
    name: `${name}.example.com`,
    clientConfig: { url: `${hook.url}/${name}`, caBundle: hook.caBundle },
    rules: [{ operations, apiGroups: [''], apiVersions: ['v1'], resources }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1', 'v1beta1'],
    timeoutSeconds: 30,
  })
  const ask = asking(api)
  const made = await ask('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
    body: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'deny' },
      webhooks: [
        webhook('attach', ['CONNECT'], ['pods/attach']),
        webhook('maps', ['CREATE', 'UPDATE'], ['configmaps']),
      ],
    },
  })
  expect(made.code).toBe(201)
  const pods = '/api/v1/namespaces/default/pods'
  await ask(pods, { body: podNamed('to-be-attached-pod', { nodeName: 'n1' }) })
  const status = { phase: 'Running', containerStatuses: [] }
  await ask(`${pods}/to-be-attached-pod/status`, { method: 'PATCH', body: { status } })
})
afterAll(async () => {
  await api.close()
  await hook.close()
})

describe.each(installed(['1.27', '1.30', '1.33']))('admission-webhook with kubectl %s', version => {
  const run = (args: string, input?: string) =>
    new Kubectl(version, api.kubeconfig, `${api.folder}/w-${version}`).run(args, input)

  test('attaching is refused in the words of the webhook', async () => {
    const { code, err } = await run('attach to-be-attached-pod -i -c=c')
    expect(code).not.toBe(0)
    expect(err).toContain("attaching to pod 'to-be-attached-pod' is not allowed")
  })

  test('so is a create, and a warning is shown with what is made', async () => {
    const refused = await run('create configmap refused --from-literal=bad=1')
    expect(refused.err).toContain(
      'admission webhook "maps.example.com" denied the request: the configmap contains unwanted key and value',
    )
    const made = await run('create configmap made --from-literal=good=1')
    expect([made.code, made.err]).toEqual([0, expect.stringContaining('Warning: looked at by a webhook')])
    expect((await run('delete configmap made')).code).toBe(0)
  })
})
