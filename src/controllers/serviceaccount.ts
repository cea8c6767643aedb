// What every namespace has: the service account `default`, and the config map with which pods check the API server.
// After kubernetes pkg/controller/serviceaccount and pkg/controller/certificates/rootcacertpublisher.
import { configMap } from '../api/kinds/configmap.ts'
import { namespace as namespaceKind } from '../api/kinds/namespace.ts'
import { serviceAccount } from '../api/kinds/serviceaccount.ts'
import { isDeleting } from '../client/objects.ts'
import { create, defineController, nothing, type Plan, update } from './controller.ts'

export const rootCaName = 'kube-root-ca.crt'
const defaultAccount = 'default'
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal ' +
  'service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.'

export const serviceAccountController = defineController({
  name: 'serviceaccount',
  of: namespaceKind,
  reads: { accounts: serviceAccount },
  wakes: { accounts: ({ metadata }) => (metadata.name === defaultAccount ? [metadata.namespace ?? ''] : []) },
  reconcile(space, { accounts }): Plan {
    const { name } = space.metadata
    if (isDeleting(space) || accounts.get(name, defaultAccount) !== undefined) return nothing
    return { changes: [create(serviceAccount, { metadata: { name: defaultAccount, namespace: name } })] }
  },
})

export const rootCaController = defineController({
  name: 'rootca',
  of: namespaceKind,
  reads: { maps: configMap },
  wakes: { maps: ({ metadata }) => (metadata.name === rootCaName ? [metadata.namespace ?? ''] : []) },
  reconcile(space, { maps }, { inputs }): Plan {
    const { name } = space.metadata
    if (isDeleting(space)) return nothing
    const data = { 'ca.crt': inputs.caPem }
    const old = maps.get(name, rootCaName)
    if (old === undefined) {
      const annotations = { 'kubernetes.io/description': description }
      return { changes: [create(configMap, { metadata: { name: rootCaName, namespace: name, annotations }, data })] }
    }
    const isRight = old.data?.['ca.crt'] === inputs.caPem && Object.keys(old.data).length === 1
    return isRight ? nothing : { changes: [update(configMap, { ...old, data })] }
  },
})
