// kubectl, unmodified, of every version, with pods that run: one test per command and version. What works on objects alone
// stands in kubectl-objects.e2e.ts.
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../testnet/command.ts'
import { onHost } from '../../testnet/hosts.ts'
import { kubectlCommand } from '../../testnet/testnet.ts'
import { kubectlBinaries } from '../clients.ts'
import { get, hosts, type Kubectl, kubectl, podsOf, testnet, until } from './cluster.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'flotilla-kubectl-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

function file(name: string, text: string): string {
  const at = path.join(scratch, name)
  writeFileSync(at, text)
  return at
}

const deployment = (namespace: string, replicas: number, extra = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: app, namespace: ${namespace}, labels: { app: app } }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: busybox:1.36
          command: [sh, -c, "echo started; while true; do echo tick; sleep 1; done"]
          ${extra}
`

const wanted = ['1.27', '1.28', '1.29', '1.30', '1.31', '1.32', '1.33', '1.36']

for (const [index, version] of wanted.entries()) {
  // Each version speaks with another peer than the one before.
  const peer = hosts[index % hosts.length] ?? 1
  const namespace = `kubectl-${version.replace('.', '-')}`

  describe(`kubectl ${version} against host${peer}`, () => {
    let k: Kubectl
    let pod: string

    beforeAll(async () => {
      expect([...kubectlBinaries().keys()]).toContain(version)
      k = await kubectl(peer, version)
      await k(['create', 'namespace', namespace])
      await k(['apply', '-f', file(`${version}.yaml`, deployment(namespace, 2))])
      await k(`-n ${namespace} rollout status deployment/app --timeout=90s`)
      pod = (await podsOf(k, namespace))[0]?.metadata.name ?? ''
    })
    afterAll(async () => {
      await k(['delete', 'namespace', namespace, '--timeout=90s'])
    })

    test('get prints the table', async () => {
      const out = await k(`-n ${namespace} get pods`)
      expect(out).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\n/)
      expect(out).toMatch(/app-\S+\s+1\/1\s+Running\s+0\s+\d+s/)
      expect(await k(`-n ${namespace} get deployments`)).toMatch(/NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE/)
      expect(await k('get nodes -o wide')).toMatch(/host1\s+Ready.*10\.99\.0\.1.*docker:/)
    })

    test('get -o yaml shows the object', async () => {
      const out = await k(`-n ${namespace} get pod ${pod} -o yaml`)
      expect(out).toMatch(/^apiVersion: v1\n/)
      expect(out).toMatch(/\n {2}phase: Running\n/)
    })

    test('get -w tells of a change as it happens', async () => {
      const net = await testnet()
      const [command = '', ...args] = kubectlCommand(
        net,
        peer,
        peer,
        ['-n', namespace, 'get', 'configmaps', '-w'],
        kubectlBinaries().get(version),
      )
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let seen = ''
      child.stdout.on('data', part => {
        seen += String(part)
      })
      await until('the watch has begun', 20_000, async () => seen.includes('kube-root-ca.crt'))
      await k(`-n ${namespace} create configmap watched --from-literal=a=b`)
      await until(`the watch tells of it; it said ${seen}`, 20_000, async () => /watched\s+1/.test(seen))
      child.kill('SIGTERM')
    })

    test('describe tells of pod, deployment, service and node', async () => {
      const out = await k(`-n ${namespace} describe pod ${pod}`)
      expect(out).toMatch(/Status:\s+Running/)
      expect(out).toMatch(/Normal\s+Scheduled/)
      expect(out).toMatch(/Normal\s+Started/)
      expect(await k(`-n ${namespace} describe deployment app`)).toMatch(/Replicas:\s+2 desired/)
      expect(await k('describe service kubernetes')).toMatch(/Endpoints:\s+10\.99\.0\./)
      expect(await k('describe node host2')).toMatch(/Ready\s+True/)
    })

    test('create makes objects from flags and files, and refuses a second', async () => {
      await k(`-n ${namespace} create configmap made --from-literal=key=value`)
      expect(await k(`-n ${namespace} get configmap made -o jsonpath={.data.key}`)).toBe('value')
      await expect(k(`-n ${namespace} create configmap made --from-literal=key=value`)).rejects.toThrow(
        /already exists/,
      )
      await k(`-n ${namespace} create secret generic hidden --from-literal=password=x`)
      await k(`-n ${namespace} create deployment other --image=busybox:1.36 --replicas=0`)
      await k(`-n ${namespace} create service clusterip other --tcp=80:8080`)
      const job =
        'apiVersion: batch/v1\nkind: Job\nmetadata: { name: once }\nspec: { template: { spec: { restartPolicy: Never, containers: [{ name: a, image: "busybox:1.36", command: ["true"] }] } } }\n'
      await k(['-n', namespace, 'create', '-f', file('job.yaml', job)])
      await k(`-n ${namespace} wait --for=condition=complete job/once --timeout=60s`)
      await expect(
        k([
          '-n',
          namespace,
          'create',
          '-f',
          file('bad.yaml', job.replace('restartPolicy', 'restartPolice').replace('once', 'bad')),
        ]),
      ).rejects.toThrow(/unknown field/)
    })

    test('apply changes what it made, client side', async () => {
      const before = file(
        'map.yaml',
        `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: applied, namespace: ${namespace} }\ndata: { a: "1", b: "2" }\n`,
      )
      expect(await k(['apply', '-f', before])).toMatch(/configmap\/applied created/)
      writeFileSync(before, readFileSync(before, 'utf8').replace('a: "1", b: "2"', 'a: "3"'))
      expect(await k(['apply', '-f', before])).toMatch(/configmap\/applied configured/)
      expect(await k(['apply', '-f', before])).toMatch(/configmap\/applied unchanged/)
      expect(JSON.parse(await k(`-n ${namespace} get configmap applied -o jsonpath={.data}`))).toEqual({ a: '3' })
    })

    test('apply --server-side owns its fields and tells of conflicts', async () => {
      const yaml = (value: string) =>
        `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: owned, namespace: ${namespace} }\ndata: { a: "${value}" }\n`
      await k(['apply', '--server-side', '-f', file('owned.yaml', yaml('1'))])
      const other = ['apply', '--server-side', '--field-manager=other', '-f', file('owned.yaml', yaml('2'))]
      await expect(k(other)).rejects.toThrow(/conflict/)
      await k([...other, '--force-conflicts'])
      expect(await k(`-n ${namespace} get configmap owned -o jsonpath={.data.a}`)).toBe('2')
    })

    test('edit saves what the editor leaves', async () => {
      await k(`-n ${namespace} create configmap edited --from-literal=key=before`)
      const editor = file('editor.sh', '#!/bin/sh\nsed -i "s/before/after/" "$1"\n')
      chmodSync(editor, 0o755)
      await k(`-n ${namespace} edit configmap edited`, { env: { ...process.env, KUBE_EDITOR: editor } })
      expect(await k(`-n ${namespace} get configmap edited -o jsonpath={.data.key}`)).toBe('after')
    })

    test('patch knows strategic, merge and JSON patches', async () => {
      await k(`-n ${namespace} create configmap patched --from-literal=a=1`)
      await k(['-n', namespace, 'patch', 'configmap', 'patched', '-p', '{"data":{"b":"2"}}'])
      await k(['-n', namespace, 'patch', 'configmap', 'patched', '--type=merge', '-p', '{"data":{"a":null}}'])
      await k([
        '-n',
        namespace,
        'patch',
        'configmap',
        'patched',
        '--type=json',
        '-p',
        '[{"op":"add","path":"/data/c","value":"3"}]',
      ])
      expect(JSON.parse(await k(`-n ${namespace} get configmap patched -o jsonpath={.data}`))).toEqual({
        b: '2',
        c: '3',
      })
    })

    test('delete removes and waits', async () => {
      await k(`-n ${namespace} create configmap doomed`)
      expect(await k(`-n ${namespace} delete configmap doomed`)).toMatch(/deleted/)
      await expect(k(`-n ${namespace} get configmap doomed`)).rejects.toThrow(/not found/)
      await k(`-n ${namespace} run passing --image=busybox:1.36 --restart=Never -- sleep 600`)
      await k(`-n ${namespace} wait --for=condition=Ready pod/passing --timeout=60s`)
      await k(`-n ${namespace} delete pod passing --grace-period=1 --timeout=60s`)
    })

    test('logs -f follows', async () => {
      const net = await testnet()
      const [command = '', ...args] = kubectlCommand(
        net,
        peer,
        peer,
        ['-n', namespace, 'logs', '-f', pod],
        kubectlBinaries().get(version),
      )
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let lines = 0
      child.stdout.on('data', part => {
        lines += String(part).split('tick').length - 1
      })
      await until('the first lines come', 20_000, async () => lines > 0)
      const first = lines
      await until('more lines come', 20_000, async () => lines > first + 2)
      child.kill('SIGTERM')
      expect(await k(`-n ${namespace} logs ${pod} --tail=1`)).toBe('tick\n')
    })

    test('exec -it runs on a terminal, exec gives the exit code', async () => {
      const net = await testnet()
      const inner = kubectlCommand(
        net,
        peer,
        peer,
        [
          '-n',
          namespace,
          'exec',
          '-it',
          pod,
          '--',
          'sh',
          '-c',
          'tty; for i in 1 2 3 4 5 6 7 8 9; do [ "$(stty size 2>&1)" = "33 77" ] && break; sleep 0.3; done; stty size; echo done',
        ],
        kubectlBinaries().get(version),
      )
      // `script` gives kubectl a terminal of a known size.
      const { stdout } = await run([
        'script',
        '-qec',
        `stty rows 33 cols 77; ${inner.map(word => `'${word}'`).join(' ')}`,
        '/dev/null',
      ])
      expect(stdout).toMatch(/\/dev\/pts\/\d+/)
      expect(stdout).toMatch(/33 77/)
      await expect(k(['-n', namespace, 'exec', pod, '--', 'sh', '-c', 'exit 7'])).rejects.toMatchObject({ code: 7 })
      expect(await k(['-n', namespace, 'exec', '-i', pod, '--', 'cat'], { input: 'through stdin' })).toBe(
        'through stdin',
      )
    })

    test('cp copies both ways', async () => {
      const text = 'copied '.repeat(50_000)
      await k(['-n', namespace, 'cp', file('up.txt', text), `${pod}:/tmp/up.txt`])
      await k(['-n', namespace, 'cp', `${pod}:/tmp/up.txt`, path.join(scratch, 'down.txt')])
      expect(readFileSync(path.join(scratch, 'down.txt'), 'utf8')).toBe(text)
    })

    test('port-forward carries connections', async () => {
      const server = `apiVersion: v1\nkind: Pod\nmetadata: { name: server, namespace: ${namespace} }\nspec: { terminationGracePeriodSeconds: 1, containers: [{ name: a, image: "busybox:1.36", command: [sh, -c, "mkdir /www; echo forwarded > /www/index.html; httpd -f -p 127.0.0.1:8080 -h /www"] }] }\n`
      await k(['apply', '-f', file('server.yaml', server)])
      await k(`-n ${namespace} wait --for=condition=Ready pod/server --timeout=60s`)
      const net = await testnet()
      const [command = '', ...args] = kubectlCommand(
        net,
        peer,
        peer,
        ['-n', namespace, 'port-forward', 'pod/server', '18080:8080'],
        kubectlBinaries().get(version),
      )
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.on('data', part => {
        said += String(part)
      })
      await until('port-forward listens', 20_000, async () => said.includes('Forwarding from 127.0.0.1:18080'))
      for (let i = 0; i < 5; i++) expect(await get(peer, 'http://127.0.0.1:18080/')).toBe('forwarded')
      child.kill('SIGTERM')
    })

    test('rollout status, history and undo follow a Deployment', async () => {
      await k(['-n', namespace, 'set', 'env', 'deployment/app', 'COLOUR=blue'])
      expect(await k(`-n ${namespace} rollout status deployment/app --timeout=90s`)).toMatch(/successfully rolled out/)
      expect(await k(`-n ${namespace} rollout history deployment/app`)).toMatch(/REVISION[\s\S]*1[\s\S]*2/)
      await k(`-n ${namespace} rollout undo deployment/app`)
      await k(`-n ${namespace} rollout status deployment/app --timeout=90s`)
      expect(await k(`-n ${namespace} get deployment app -o jsonpath={.spec.template.spec.containers[0].env}`)).toBe('')
      pod = (await podsOf(k, namespace)).find(one => one.metadata.name.startsWith('app-'))?.metadata.name ?? ''
    })

    test('scale changes the number of pods', async () => {
      await k(`-n ${namespace} scale deployment app --replicas=3`)
      await k(`-n ${namespace} rollout status deployment/app --timeout=90s`)
      expect(await k(`-n ${namespace} get deployment app -o jsonpath={.status.readyReplicas}`)).toBe('3')
      await k(`-n ${namespace} scale deployment app --replicas=2 --current-replicas=3`)
    })

    test('label and annotate write metadata, selectors find it', async () => {
      await k(`-n ${namespace} create configmap named`)
      await k(`-n ${namespace} label configmap named tier=gold`)
      await k(`-n ${namespace} annotate configmap named note=kept`)
      expect(await k(`-n ${namespace} get configmaps -l tier=gold -o name`)).toBe('configmap/named\n')
      expect(await k(`-n ${namespace} get configmap named -o jsonpath={.metadata.annotations.note}`)).toBe('kept')
      await k(`-n ${namespace} label configmap named tier-`)
      expect(await k(`-n ${namespace} get configmaps -l tier=gold -o name`)).toBe('')
    })

    test('cordon keeps pods away, drain empties a node, uncordon takes it back', async () => {
      const node = `host${(peer % 3) + 1}`
      await k(`cordon ${node}`)
      expect(await k(`get node ${node}`)).toMatch(/Ready,SchedulingDisabled/)
      await k(`drain ${node} --ignore-daemonsets --delete-emptydir-data --force --timeout=120s`, { timeoutMs: 150_000 })
      const left = await k(
        `get pods -n ${namespace} --field-selector spec.nodeName=${node},status.phase=Running -o name`,
      )
      expect(left).toBe('')
      await k(`uncordon ${node}`)
      await k(`-n ${namespace} rollout status deployment/app --timeout=90s`)
    })

    test('run -i passes input to a new pod and shows what it says', async () => {
      const said = await k(
        [
          '-n',
          namespace,
          'run',
          'asked',
          '--image=busybox:1.36',
          '--restart=Never',
          '-i',
          '--rm',
          '--quiet',
          '--',
          'cat',
        ],
        { input: 'through a new pod\n' },
      )
      expect(said).toContain('through a new pod')
    })

    test('attach joins a container that runs', async () => {
      const reader = `apiVersion: v1\nkind: Pod\nmetadata: { name: reader, namespace: ${namespace} }\nspec: { terminationGracePeriodSeconds: 1, restartPolicy: Never, containers: [{ name: a, image: "busybox:1.36", stdin: true, stdinOnce: true, command: [sh, -c, "read line; echo read $line"] }] }\n`
      await k(['apply', '-f', file('reader.yaml', reader)])
      await k(`-n ${namespace} wait --for=condition=Ready pod/reader --timeout=60s`)
      expect(await k(`-n ${namespace} attach -i reader`, { input: 'a line\n' })).toContain('read a line')
    })

    test('debug joins a pod with a container of its own, and a node with a pod', async () => {
      // Draining has moved them.
      pod = (await podsOf(k, namespace)).find(one => one.metadata.name.startsWith('app-'))?.metadata.name ?? ''
      await k(['-n', namespace, 'debug', pod, '--image=busybox:1.36', '--container=look', '--', 'sleep', '600'])
      await until('the container runs', 60_000, async () => {
        const state = `{.status.ephemeralContainerStatuses[0].state.running.startedAt}`
        return (await k(['-n', namespace, 'get', 'pod', pod, '-o', `jsonpath=${state}`])) !== ''
      })
      expect(await k(['-n', namespace, 'exec', pod, '-c', 'look', '--', 'echo', 'inside'])).toBe('inside\n')
      const made = await k(['-n', namespace, 'debug', `node/host${peer}`, '--image=busybox:1.36', '--', 'sleep', '1'])
      const name =
        /pod (node-debugger-\S+)/.exec(made)?.[1] ??
        (await k(`-n ${namespace} get pods -o name`)).match(/node-debugger-\S+/)?.[0]
      await k(`-n ${namespace} delete pod ${name} --grace-period=1 --timeout=60s`)
    })

    test('top shows what nodes and pods use', async () => {
      await until('nodes are measured', 90_000, async () => /host1\s+\d+m/.test(await k('top nodes').catch(String)))
      await until('pods are measured', 90_000, async () =>
        /app-\S+\s+\d+m\s+\d+Mi/.test(await k(`-n ${namespace} top pods`).catch(String)),
      )
      expect(await k(`-n ${namespace} top pods --containers`)).toMatch(/app-\S+\s+app\s+\d+m/)
    })

    test('wait ends when its condition holds', async () => {
      await k(`-n ${namespace} wait --for=condition=Available deployment/app --timeout=60s`)
      await expect(k(`-n ${namespace} wait --for=condition=Nonsense deployment/app --timeout=1s`)).rejects.toThrow(
        /timed out/,
      )
    })

    test('events are listed', async () => {
      expect(await k(`-n ${namespace} events`)).toMatch(/SuccessfulCreate/)
      expect(await k(`-n ${namespace} get events`)).toMatch(/Scheduled/)
    })
  })
}

test('anonymous requests are refused with 401', async () => {
  const net = await testnet()
  const ask = ['curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}', 'https://127.0.0.1:6443/api/v1/pods']
  expect((await run(onHost(net.net, 1, ask))).stdout).toBe('401')
})
