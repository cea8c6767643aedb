// What a request to a subresource of pods, nodes and services can say (v1): query parameters, named as here.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Operations
import { s, scalars, type TypeOf } from '../schema.ts'

export const podAttachOptions = s.object('io.k8s.api.core.v1.PodAttachOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  stdin: s.boolean(1),
  stdout: s.boolean(2),
  stderr: s.boolean(3),
  tty: s.boolean(4),
  container: s.string(5),
})
export type PodAttachOptions = TypeOf<typeof podAttachOptions>
export const podExecOptions = s.object('io.k8s.api.core.v1.PodExecOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  stdin: s.boolean(1),
  stdout: s.boolean(2),
  stderr: s.boolean(3),
  tty: s.boolean(4),
  container: s.string(5),
  command: s.list(6, scalars.string, { required: true }),
})
export type PodExecOptions = TypeOf<typeof podExecOptions>
export const podLogOptions = s.object('io.k8s.api.core.v1.PodLogOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  container: s.string(1),
  follow: s.boolean(2),
  previous: s.boolean(3),
  sinceSeconds: s.int64(4, { pointer: true }),
  sinceTime: s.time(5),
  timestamps: s.boolean(6),
  tailLines: s.int64(7, { pointer: true }),
  limitBytes: s.int64(8, { pointer: true }),
  insecureSkipTLSVerifyBackend: s.boolean(9),
  stream: s.string(10, { pointer: true }),
})
export type PodLogOptions = TypeOf<typeof podLogOptions>
export const podPortForwardOptions = s.object('io.k8s.api.core.v1.PodPortForwardOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  ports: s.list(1, scalars.int32),
})
export type PodPortForwardOptions = TypeOf<typeof podPortForwardOptions>

const path = { apiVersion: s.string(0), kind: s.string(0), path: s.string(1) }
export const podProxyOptions = s.object('io.k8s.api.core.v1.PodProxyOptions', path)
export const nodeProxyOptions = s.object('io.k8s.api.core.v1.NodeProxyOptions', path)
export const serviceProxyOptions = s.object('io.k8s.api.core.v1.ServiceProxyOptions', path)
export type ProxyOptions = TypeOf<typeof podProxyOptions>
