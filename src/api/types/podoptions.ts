// What a request to a subresource of pods, nodes and services can say (v1): query parameters, named as here.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Operations
import { s, scalars, type TypeOf } from '../schema.ts'

const container =
  'Which container. Default: the only one, or the one of annotation kubectl.kubernetes.io/default-container.'

export const podAttachOptions = s.object(
  'io.k8s.api.core.v1.PodAttachOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    stdin: s.boolean(1, 'True: what the client sends becomes the input of the container, which must have stdin.'),
    stdout: s.boolean(2, 'True: the client gets the output of the container.'),
    stderr: s.boolean(3, 'True: the client gets the error output of the container; nothing comes with tty.'),
    tty: s.boolean(4, 'True where the container has a terminal; its two outputs come as one.'),
    container: s.string(5, container),
  },
  { description: 'How to join input and output of a container that runs. At least one stream is required.' },
)
export type PodAttachOptions = TypeOf<typeof podAttachOptions>
export const podExecOptions = s.object(
  'io.k8s.api.core.v1.PodExecOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    stdin: s.boolean(1, 'True: what the client sends becomes the input of the command.'),
    stdout: s.boolean(2, 'True: the client gets the output of the command.'),
    stderr: s.boolean(3, 'True: the client gets the error output of the command; with tty it is part of the output.'),
    tty: s.boolean(4, 'True: the command gets a terminal.'),
    container: s.string(5, container),
    command: s.list(6, scalars.string, {
      required: true,
      description: 'Program and arguments, a parameter each; no shell is involved.',
    }),
  },
  { description: 'A command to run in a container. At least one stream is required.' },
)
export type PodExecOptions = TypeOf<typeof podExecOptions>
export const podLogOptions = s.object(
  'io.k8s.api.core.v1.PodLogOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    container: s.string(1, container),
    follow: s.boolean(2, 'True: new lines follow until the container ends.'),
    previous: s.boolean(3, 'True: the log of the container before its last restart.'),
    sinceSeconds: s.int64(4, {
      pointer: true,
      description: 'Only lines of the last so many seconds, at least 1; excludes sinceTime.',
    }),
    sinceTime: s.time(5, 'Only lines from then on; excludes sinceSeconds.'),
    timestamps: s.boolean(6, 'True: each line begins with the time at which it was written.'),
    tailLines: s.int64(7, { pointer: true, description: 'Only so many lines at the end. Default: all that is kept.' }),
    limitBytes: s.int64(8, {
      pointer: true,
      description: 'Stops after so many bytes, at least 1, also inside a line.',
    }),
    insecureSkipTLSVerifyBackend: s.boolean(9, 'Without effect here: who answers for the node is always verified.'),
    stream: s.string(10, { pointer: true, description: 'All, Stdout or Stderr. Default: All.' }),
  },
  { description: 'Which part of the log of a container.' },
)
export type PodLogOptions = TypeOf<typeof podLogOptions>
export const podPortForwardOptions = s.object(
  'io.k8s.api.core.v1.PodPortForwardOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    ports: s.list(1, scalars.int32, 'Shown to admission alone here: each stream of a client names its own port.'),
  },
  { description: 'Connections to ports of a pod.' },
)
export type PodPortForwardOptions = TypeOf<typeof podPortForwardOptions>

const proxied = (path: string) => ({ apiVersion: s.string(0), kind: s.string(0), path: s.string(1, path) })
export const podProxyOptions = s.object('io.k8s.api.core.v1.PodProxyOptions', proxied('Path to ask the pod for.'), {
  description: 'An HTTP request to a port of a pod, passed on.',
})
export const nodeProxyOptions = s.object(
  'io.k8s.api.core.v1.NodeProxyOptions',
  proxied('Path to ask the kubelet for; here /healthz, /metrics/resource or /stats/summary.'),
  { description: 'An HTTP request to the kubelet of a node.' },
)
export const serviceProxyOptions = s.object(
  'io.k8s.api.core.v1.ServiceProxyOptions',
  proxied('Path to ask the Service for.'),
  { description: 'An HTTP request to one of the pods behind a Service, passed on.' },
)
export type ProxyOptions = TypeOf<typeof podProxyOptions>
