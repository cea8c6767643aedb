// What kubectl asks and does about rights, old and new.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installed, Kubectl } from './kubectl.ts'
import { servedApiserver } from './served.ts'

const policy = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects:
- {kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}
`

describe.each(installed(['1.27', '1.33']))('kubectl %s', version => {
  let api: Awaited<ReturnType<typeof servedApiserver>>
  let kubectl: Kubectl
  beforeAll(async () => {
    api = await servedApiserver()
    kubectl = new Kubectl(version, api.kubeconfig, api.folder)
  })
  afterAll(() => api.close())

  test('auth reconcile makes roles and bindings, and adds what is missing', async () => {
    const made = await kubectl.run('auth reconcile -f -', policy)
    expect(made.err).toContain('reconciliation required create')
    expect(made.out).toContain('role.rbac.authorization.k8s.io/reader reconciled')
    expect(made.out).toContain('rolebinding.rbac.authorization.k8s.io/reader reconciled')
    const more = policy.replace('verbs: [get, list]', 'verbs: [watch]')
    expect((await kubectl.run('auth reconcile -f -', more)).code).toBe(0)
    const rules = await kubectl.ok('get role reader -o jsonpath={.rules}')
    expect(rules).toContain('"watch"')
    expect(rules).toContain('"get","list"')
  })

  test('auth can-i says yes and no, of others too', async () => {
    expect(await kubectl.ok('auth can-i create deployments')).toBe('yes')
    expect(await kubectl.ok('auth can-i list pods --as=ann')).toBe('yes')
    expect(await kubectl.run('auth can-i list pods --as=ann -n kube-system')).toMatchObject({ code: 1, out: 'no\n' })
    expect(await kubectl.run('auth can-i get secrets --as=ann')).toMatchObject({ code: 1, out: 'no\n' })
    expect(await kubectl.ok('auth can-i get /healthz --as=ann')).toBe('yes')
    expect(await kubectl.ok('auth can-i * *')).toBe('yes')
  })

  test('auth can-i --list shows the rules', async () => {
    const { out, err } = await kubectl.run('auth can-i --list --as=ann')
    expect(err).toBe('')
    expect(out).toMatch(/pods +\[\] +\[\] +\[get list( watch)?\]/)
    expect(out).toMatch(/selfsubjectaccessreviews.authorization.k8s.io +\[\] +\[\] +\[create\]/)
    expect(out).toMatch(/\[\/healthz\] +\[\] +\[get\]/)
    expect(await kubectl.ok('auth can-i --list')).toMatch(/\*\.\* +\[\] +\[\] +\[\*\]/)
  })

  test('auth whoami says who', async () => {
    const out = await kubectl.ok('auth whoami --as=jane --as-group=devs')
    expect(out).toMatch(/Username +jane/)
    expect(out).toMatch(/Groups +\[devs system:authenticated\]/)
  })

  test('create makes roles and bindings, get and describe show them', async () => {
    await kubectl.ok('create clusterrole pods-all --verb=get,list --resource=pods,pods/log')
    await kubectl.ok(
      'create clusterrolebinding pods-all --clusterrole=pods-all --user=u --group=g --serviceaccount=default:sa',
    )
    await kubectl.ok('create role cm --verb=get --resource=configmaps --resource-name=a')
    await kubectl.ok('create rolebinding cm --role=cm --serviceaccount=default:sa')
    const wide = await kubectl.ok('get clusterrolebinding pods-all -o wide')
    expect(wide).toMatch(/NAME +ROLE +AGE +USERS +GROUPS +SERVICEACCOUNTS/)
    expect(wide).toMatch(/pods-all +ClusterRole\/pods-all +\S+ +u +g +default\/sa/)
    expect(await kubectl.ok('get role')).toMatch(/NAME +CREATED AT/)
    expect(await kubectl.ok('describe clusterrole pods-all')).toMatch(/pods\/log +\[\] +\[\] +\[get list\]/)
    expect(await kubectl.ok('describe rolebinding cm')).toMatch(/ServiceAccount +sa +default/)
    expect(await kubectl.ok('get pods --as=system:serviceaccount:default:sa')).toBe('')
    expect(await kubectl.ok('set subject rolebinding cm --user=late')).toContain('updated')
    expect((await kubectl.run('get secrets --as=u')).err).toContain(
      'Error from server (Forbidden): secrets is forbidden: User "u" cannot list resource "secrets" in API group "" in the namespace "default"',
    )
  })
})
