// Every command of kubectl that works on objects alone, unmodified, of every version: what it prints and how it ends.
// What needs a pod that runs stands in kubectl.e2e.ts.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../testnet/command.ts'
import { onHost } from '../../testnet/hosts.ts'
import { kubectlCommand } from '../../testnet/testnet.ts'
import { certificates } from '../apiserver/certificates.ts'
import { kubectlBinaries } from '../clients.ts'
import { hosts, type Kubectl, kubectl, testnet, until } from './cluster.ts'
import { signingRequest } from './csr.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'flotilla-kubectl-objects-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

let files = 0
function file(text: string): string {
  const at = path.join(scratch, `${files++}.yaml`)
  writeFileSync(at, text)
  return at
}

const deployment = (name: string, extra = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 0
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec: { containers: [{ name: app, image: "busybox:1.36", ports: [{ containerPort: 8080 }]${extra} }] }
`
const configMap = (name: string, value: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, labels: { set: pruned } }\ndata: { key: "${value}" }\n`

for (const [index, version] of [...kubectlBinaries().keys()].entries()) {
  const peer = hosts[index % hosts.length] ?? 1
  const namespace = `objects-${version.replace('.', '-')}`

  describe(`kubectl ${version} against host${peer}`, () => {
    let k: Kubectl
    /** In the namespace. */
    const n: Kubectl = (args, options) =>
      k(['-n', namespace, ...(typeof args === 'string' ? args.split(' ') : args)], options)

    beforeAll(async () => {
      k = await kubectl(peer, version)
      await k(['create', 'namespace', namespace])
      await n(['apply', '-f', file(deployment('app'))])
    })
    afterAll(async () => {
      await k(['delete', 'namespace', namespace, '--timeout=90s'])
    })

    test('version, api-versions, api-resources and cluster-info tell where they are', async () => {
      expect(await k('version')).toMatch(/Server Version: .*v?1\.33/)
      expect(await k('api-versions')).toMatch(/^apps\/v1$/m)
      expect(await k('api-resources --api-group=batch')).toMatch(/cronjobs\s+cj\s+batch\/v1\s+true\s+CronJob/)
      expect(await k('api-resources --namespaced=false -o name')).toMatch(/^nodes$/m)
      expect(await k('cluster-info')).toMatch(/control plane.* is running at .*https:\/\//)
      expect(await k(`cluster-info dump --namespaces=${namespace}`)).toMatch(/"kind": "DeploymentList"/)
    })

    test('get prints in every form', async () => {
      expect(await n('get deployment app --no-headers')).toMatch(/^app\s+0\/0/)
      expect(await n('get deployment app -o name')).toBe('deployment.apps/app\n')
      expect(JSON.parse(await n('get deployment app -o json')).kind).toBe('Deployment')
      expect(await n('get deployment app -o yaml')).toMatch(/^kind: Deployment$/m)
      expect(await n('get deployment app -o jsonpath={.spec.replicas}')).toBe('0')
      expect(await n(['get', 'deployment', 'app', '-o', 'go-template={{.metadata.name}}'])).toBe('app')
      expect(await n(['get', 'deployment', 'app', '-o', 'template', '--template={{.kind}}'])).toBe('Deployment')
      expect(await n('get deployments -o custom-columns=N:.metadata.name')).toBe('N\napp\n')
      expect(await n('get deployments -o wide')).toMatch(/CONTAINERS\s+IMAGES\s+SELECTOR/)
      expect(await n('get deployments --show-labels')).toMatch(/LABELS/)
      expect(await n('get deployments -L app')).toMatch(/APP/)
      expect(await n('get configmaps --sort-by=.metadata.name')).toMatch(/kube-root-ca.crt/)
      expect(await k('get namespaces --chunk-size=2 -o name')).toMatch(
        /namespace\/default[\s\S]*namespace\/kube-system/,
      )
      expect(await k('get configmaps -A')).toMatch(new RegExp(`${namespace}\\s+kube-root-ca.crt`))
      expect(await n('get all')).toMatch(/deployment.apps\/app/)
      expect(await n('get deployment app --subresource=status -o name')).toMatch(/deployment.apps\/app/)
      expect(await n('get deployment app --subresource=scale -o jsonpath={.spec.replicas}')).toBe('0')
      expect(await k('get --raw /livez')).toBe('ok')
      await expect(n('get deployment none')).rejects.toMatchObject({
        code: 1,
        stderr: 'Error from server (NotFound): deployments.apps "none" not found\n',
      })
      expect(await n('get deployment none --ignore-not-found')).toBe('')
      await expect(k('get nonsense')).rejects.toThrow(/the server doesn't have a resource type "nonsense"/)
    })

    test('create <kind> makes each kind that it knows', async () => {
      const made: readonly (readonly [string, RegExp])[] = [
        ['configmap c --from-literal=a=b', /configmap\/c created/],
        ['secret generic g --from-literal=a=b', /secret\/g created/],
        ['secret docker-registry d --docker-username=u --docker-password=p', /secret\/d created/],
        ['serviceaccount sa', /serviceaccount\/sa created/],
        ['deployment made --image=busybox:1.36 --replicas=0', /deployment.apps\/made created/],
        ['service clusterip s1 --tcp=80:8080', /service\/s1 created/],
        ['service nodeport s2 --tcp=80:8080', /service\/s2 created/],
        ['service loadbalancer s3 --tcp=80:8080', /service\/s3 created/],
        ['service externalname s4 --external-name=example.com', /service\/s4 created/],
        ['cronjob cj --image=busybox:1.36 --schedule=0_0_1_1_* -- true', /cronjob.batch\/cj created/],
        ['role r --verb=get,list --resource=pods,deployments.apps', /role.rbac.authorization.k8s.io\/r created/],
        ['rolebinding rb --role=r --serviceaccount=default:sa', /rolebinding.rbac.authorization.k8s.io\/rb created/],
        ['ingress i --rule=example.com/path*=s1:80', /ingress.networking.k8s.io\/i created/],
        ['poddisruptionbudget pdb --selector=app=x --min-available=1', /poddisruptionbudget.policy\/pdb created/],
        ['quota q --hard=configmaps=50,secrets=50', /resourcequota\/q created/],
      ]
      for (const [args, says] of made) {
        const words = args.split(' ').map(word => (word.startsWith('--schedule') ? word.replaceAll('_', ' ') : word))
        expect(await n(['create', ...words])).toMatch(says)
      }
      expect(await n('create job --from=cronjob/cj once')).toMatch(/job.batch\/once created/)
      expect(await n('create token sa')).toMatch(/^eyJ/)
      const cluster: readonly (readonly [string, string])[] = [
        ['clusterrole', `${namespace}-cr --verb=get --resource=nodes`],
        ['clusterrolebinding', `${namespace}-crb --clusterrole=${namespace}-cr --user=somebody`],
        ['priorityclass', `${namespace}-pc --value=10`],
      ]
      for (const [kind, args] of cluster) {
        expect(await k(`create ${kind} ${args}`)).toMatch(/created/)
        expect(await k(`delete ${kind} ${args.split(' ')[0]}`)).toMatch(/deleted/)
      }
      await expect(n('create configmap c')).rejects.toThrow(/configmaps "c" already exists/)
      expect(await n('get quota q -o jsonpath={.spec.hard.configmaps}')).toBe('50')
    })

    test('create -f, replace and delete work on files and on standard input', async () => {
      const text = deployment('filed')
      expect(await n(['create', '-f', '-'], { input: text })).toBe('deployment.apps/filed created\n')
      await expect(n(['create', '-f', '-'], { input: text.replace('replicas', 'replicaz') })).rejects.toThrow(
        /strict decoding error: unknown field "spec.replicaz"/,
      )
      await expect(n(['create', '--validate=false', '-f', '-'], { input: text })).rejects.toThrow(/already exists/)
      expect(await n(['create', '--dry-run=server', '-f', '-'], { input: deployment('dry') })).toMatch(/server dry run/)
      expect(await n(['replace', '-f', '-'], { input: text.replace('replicas: 0', 'paused: true') })).toMatch(
        /replaced/,
      )
      expect(await n('get deployment filed -o jsonpath={.spec.paused}')).toBe('true')
      expect(await n(['replace', '--force', '-f', '-'], { input: text })).toMatch(/replaced/)
      await expect(n(['replace', '-f', '-'], { input: deployment('never') })).rejects.toThrow(/NotFound/)
      await expect(
        n(['replace', '-f', '-'], { input: text.replace('app: filed } }\n  template', 'app: b } }\n  template') }),
      ).rejects.toThrow(
        /The Deployment "filed" is invalid[\s\S]*`selector` does not match template `labels`|field is immutable/,
      )
      expect(await n(['delete', '--dry-run=server', '-f', '-'], { input: text })).toMatch(/server dry run/)
      expect(await n(['delete', '--grace-period=0', '--force', '-f', '-'], { input: text })).toMatch(/force deleted/)
    })

    test('delete chooses by name, label, kind and owner', async () => {
      for (const name of ['a1', 'a2', 'b1']) await n(`create configmap ${name}`)
      await n('label configmap a1 a2 group=a')
      expect((await n('delete configmap -l group=a')).match(/deleted/g)).toHaveLength(2)
      expect(await n('delete configmap b1 --now')).toMatch(/deleted/)
      expect(await n('delete configmap b1 --ignore-not-found')).toBe('')
      await expect(n('delete configmap b1')).rejects.toThrow(/NotFound/)
      await n(['apply', '-f', file(deployment('left'))])
      await until('its ReplicaSet is there', 30_000, async () => (await n('get rs -l app=left -o name')) !== '')
      await n('delete deployment left --cascade=orphan')
      expect(await n('get rs -l app=left -o name')).toMatch(/replicaset/)
      await n('delete rs -l app=left --cascade=foreground')
      expect(await n('get rs -l app=left -o name')).toBe('')
    })

    test('apply in its forms: last applied, prune, server side, diff', async () => {
      const at = file(configMap('applied', '1'))
      expect(await n(['apply', '-f', at])).toBe('configmap/applied created\n')
      expect(await n(['apply', '-f', at])).toBe('configmap/applied unchanged\n')
      expect(await n(['apply', 'view-last-applied', '-f', at])).toMatch(/key: "1"/)
      await expect(n(['diff', '-f', file(configMap('applied', '2'))])).rejects.toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/^\+ +key: "2"$/m),
      })
      expect(await n(['diff', '-f', at])).toBe('')
      await expect(
        n(['diff', '--server-side', '--force-conflicts', '-f', file(configMap('applied', '3'))]),
      ).rejects.toMatchObject({ code: 1 })
      expect(await n(['apply', 'set-last-applied', '-f', at])).toMatch(/configured/)
      const other = file(configMap('other', '1'))
      expect(await n(['apply', '--prune', '-l', 'set=pruned', '-f', other])).toMatch(/configmap\/applied pruned/)
      const server = ['apply', '--server-side', '-f']
      expect(await n([...server, other])).toBe('configmap/other serverside-applied\n')
      expect(await n(['apply', '--server-side', '--dry-run=server', '-f', other])).toMatch(/server dry run/)
      await expect(n([...server, file(configMap('other', '9')), '--field-manager=second'])).rejects.toThrow(
        /Apply failed with 1 conflict: conflict with "kubectl".*: \.data\.key/,
      )
      expect(
        await n([...server, file(configMap('other', '9')), '--field-manager=second', '--force-conflicts']),
      ).toMatch(/serverside-applied/)
      expect(
        await n('get configmap other --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}'),
      ).toMatch(/second/)
    })

    test('patch, label, annotate, taint change what is asked', async () => {
      await n('create configmap p --from-literal=a=1')
      expect(await n(['patch', 'configmap', 'p', '-p', '{"data":{"b":"2"}}'])).toBe('configmap/p patched\n')
      expect(await n(['patch', 'configmap', 'p', '-p', '{"data":{"b":"2"}}'])).toBe('configmap/p patched (no change)\n')
      await n(['patch', 'configmap', 'p', '--type=json', '-p', '[{"op":"remove","path":"/data/a"}]'])
      await n(['patch', 'configmap', 'p', '--type=merge', '-p', '{"data":{"c":"3"}}', '--dry-run=server'])
      expect(JSON.parse(await n('get configmap p -o jsonpath={.data}'))).toEqual({ b: '2' })
      await expect(
        n(['patch', 'configmap', 'p', '--type=json', '-p', '[{"op":"test","path":"/data/b","value":"x"}]']),
      ).rejects.toMatchObject({ code: 1 })
      await n(['patch', 'deployment', 'app', '--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":0}}'])
      expect(await n('label configmap p a=b')).toBe('configmap/p labeled\n')
      await expect(n('label configmap p a=c')).rejects.toThrow(/already has a value/)
      expect(await n('label configmap p a=c --overwrite')).toBe('configmap/p labeled\n')
      expect(await n('label configmap p --list')).toBe('a=c\n')
      expect(await n('annotate configmap p note=x')).toMatch(/^configmap\/p annotate/)
      expect(await n('annotate configmap p note-')).toMatch(/^configmap\/p annotate/)
      expect(await k(`taint nodes host${peer} test-${version}=x:PreferNoSchedule`)).toMatch(/tainted/)
      expect(await k(`taint nodes host${peer} test-${version}-`)).toMatch(/untainted/)
    })

    test('expose, autoscale, scale, set and rollout act on workloads', async () => {
      expect(await n('expose deployment app --name=exposed --port=80 --target-port=8080')).toMatch(
        /service\/exposed exposed/,
      )
      expect(await n('autoscale deployment app --min=1 --max=3 --cpu-percent=50')).toMatch(/autoscaled/)
      expect(await n('get hpa app -o jsonpath={.spec.maxReplicas}')).toBe('3')
      await n('delete hpa app')
      expect(await n('scale deployment app --replicas=0')).toMatch(/scaled/)
      expect(await n('scale deployment app --replicas=0 --current-replicas=0')).toMatch(/scaled/)
      await expect(n('scale deployment app --replicas=0 --current-replicas=7')).rejects.toMatchObject({ code: 1 })
      expect(await n('set image deployment/app app=busybox:2')).toMatch(/image updated/)
      expect(await n('set env deployment/app A=B')).toMatch(/env updated/)
      expect(await n('set resources deployment app --requests=cpu=10m')).toMatch(/resource requirements updated/)
      expect(await n('set serviceaccount deployment app default')).toMatch(/serviceaccount updated/)
      expect(await n('set selector service exposed app=other')).toMatch(/selector updated/)
      expect(await n('rollout pause deployment/app')).toMatch(/paused/)
      expect(await n('rollout resume deployment/app')).toMatch(/resumed/)
      expect(await n('rollout restart deployment/app')).toMatch(/restarted/)
      expect(await n('rollout status deployment/app --timeout=60s')).toMatch(/successfully rolled out/)
      expect(await n('rollout history deployment/app')).toMatch(/REVISION/)
      expect(await n('rollout history deployment/app --revision=1')).toMatch(/Pod Template/)
      expect(await n('rollout undo deployment/app --to-revision=1')).toMatch(/rolled back/)
    })

    test('describe and events tell of objects that run nothing', async () => {
      expect(await n('describe deployment app')).toMatch(/Replicas:\s+0 desired/)
      expect(await k(`describe namespace ${namespace}`)).toMatch(/Status:\s+Active/)
      expect(await n('describe service exposed')).toMatch(/TargetPort:\s+8080\/TCP/)
      expect(await n('describe configmap p')).toMatch(/^Data$/m)
      expect(await n('describe serviceaccount default')).toMatch(/^Name:\s+default$/m)
      expect(await n('events')).toMatch(/ScalingReplicaSet|No events/)
    })

    test('explain reads the documents of OpenAPI', async () => {
      expect(await k('explain deployment.spec.strategy.rollingUpdate')).toMatch(/maxSurge/)
      expect(await k('explain --api-version=autoscaling/v2 hpa.spec.metrics')).toMatch(/FIELDS?:/)
      await expect(k('explain deployment.spec.nonsense')).rejects.toThrow(/does not exist/)
    })

    test('auth tells who may what', async () => {
      expect(await k('auth can-i --list')).toMatch(/\*\.\*\s+\[\]\s+\[\]\s+\[\*\]/)
      expect(await n('auth can-i get pods --subresource=log')).toBe('yes\n')
      await expect(n(`auth can-i list secrets --as=system:serviceaccount:${namespace}:sa`)).rejects.toMatchObject({
        code: 1,
      })
      await n(`create rolebinding reader --clusterrole=view --serviceaccount=${namespace}:sa`)
      await until(
        'the binding counts on this peer',
        20_000,
        async () =>
          (await n(`auth can-i list pods --as=system:serviceaccount:${namespace}:sa`).catch(String)) === 'yes\n',
      )
      expect(await k('auth whoami')).toMatch(/Username\s+kubernetes-admin/)
      const role = `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: reconciled, namespace: ${namespace} }\nrules: [{ apiGroups: [""], resources: [pods], verbs: [get] }]\n`
      expect(await k(['auth', 'reconcile', '-f', file(role)])).toMatch(/reconciled/)
    })

    test('certificate approve and deny decide on requests', async () => {
      for (const [name, verb, says] of [
        [`${namespace}-yes`, 'approve', /approved/],
        [`${namespace}-no`, 'deny', /denied/],
      ] as const) {
        await k(['create', '-f', file(await signingRequest(name))])
        expect(await k(`get csr ${name}`)).toMatch(/Pending/)
        expect(await k(`certificate ${verb} ${name}`)).toMatch(says)
      }
      await until('the certificate is issued', 30_000, async () =>
        /BEGIN CERTIFICATE/.test(atob(await k(`get csr ${namespace}-yes -o jsonpath={.status.certificate}`))),
      )
      expect(await k(`get csr ${namespace}-no`)).toMatch(/Denied/)
      await k(`delete csr ${namespace}-yes ${namespace}-no`)
    })

    test('wait ends on conditions, fields and deletion', async () => {
      await n('create configmap waited --from-literal=a=b')
      expect(await n('wait --for=jsonpath={.data.a}=b configmap/waited --timeout=10s')).toMatch(/condition met/)
      const gone = n('wait --for=delete configmap/waited --timeout=60s')
      await n('delete configmap waited')
      await gone
      expect(await n('wait --for=condition=Available deployment/app --timeout=30s')).toMatch(/condition met/)
    })

    test('proxy passes requests on', async () => {
      const net = await testnet()
      const args = ['proxy', `--port=${18_100 + index}`]
      const [command = '', ...rest] = kubectlCommand(net, peer, peer, args, kubectlBinaries().get(version))
      const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.on('data', part => {
        said += String(part)
      })
      await until('the proxy listens', 20_000, async () => said.includes('Starting to serve'))
      const ask = ['curl', '-sf', '-m', '5', `http://127.0.0.1:${18_100 + index}/api/v1/namespaces/${namespace}`]
      expect(JSON.parse((await run(onHost(net.net, peer, ask))).stdout).kind).toBe('Namespace')
      child.kill('SIGTERM')
    })

    test('secret tls takes a key pair, and what asks nothing of a server works', async () => {
      const { server } = await certificates()
      const [cert, key] = [file(server.cert), file(server.key)]
      expect(await n(['create', 'secret', 'tls', 'pair', `--cert=${cert}`, `--key=${key}`])).toMatch(/created/)
      expect(await k('config view')).toMatch(/kind: Config/)
      expect(await k('completion bash')).toMatch(/__start_kubectl/)
      expect(await k('options')).toMatch(/--kubeconfig/)
    })
  })
}
