// Questions that are put to containers, and hooks at their start and end.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes

import { s, scalars, type TypeOf } from '../schema.ts'

export const execAction = s.object(
  'io.k8s.api.core.v1.ExecAction',
  {
    command: s.list(
      1,
      scalars.string,
      'Program and arguments. There is no shell unless it is named: [sh, -c, "test -e /tmp/ok"].',
    ),
  },
  { description: 'A command in the container; exit code 0 is success.' },
)
export type ExecAction = TypeOf<typeof execAction>
export const httpHeader = s.object(
  'io.k8s.api.core.v1.HTTPHeader',
  {
    name: s.string(1, {
      required: true,
      description: 'Letters, digits and dashes; upper and lower case are the same.',
    }),
    value: s.string(2, { required: true, default: '', description: 'Sent as it stands; no variables are replaced.' }),
  },
  { description: 'A header of an HTTP request.' },
)
export type HTTPHeader = TypeOf<typeof httpHeader>
export const httpGetAction = s.object(
  'io.k8s.api.core.v1.HTTPGetAction',
  {
    path: s.string(1, { default: '/', description: 'Path and query to ask for. Default: /.' }),
    port: s.intOrString(2, {
      required: true,
      description: 'Number from 1 to 65535, or the name of one of the ports of the container.',
    }),
    host: s.string(3, 'Where to connect to instead of the address of the pod. For a virtual host send a Host header.'),
    scheme: s.oneOf(4, ['HTTP', 'HTTPS'], {
      default: 'HTTP',
      description: 'With HTTPS the certificate is not verified. Default: HTTP.',
    }),
    httpHeaders: s.list(5, httpHeader, 'Sent besides the usual ones, or instead of those of the same name.'),
  },
  { description: 'An HTTP GET to the pod; a status from 200 to 399 is success.' },
)
export type HTTPGetAction = TypeOf<typeof httpGetAction>
export const sleepAction = s.object(
  'io.k8s.api.core.v1.SleepAction',
  {
    seconds: s.int64(1, {
      required: true,
      description: 'How long to wait, in seconds; at most terminationGracePeriodSeconds of the pod.',
    }),
  },
  { description: 'A pause that needs no program in the image.' },
)
export type SleepAction = TypeOf<typeof sleepAction>
export const tcpSocketAction = s.object(
  'io.k8s.api.core.v1.TCPSocketAction',
  {
    port: s.intOrString(1, {
      required: true,
      description: 'Number from 1 to 65535, or the name of one of the ports of the container.',
    }),
    host: s.string(2, 'Where to connect to instead of the address of the pod.'),
  },
  { description: 'A TCP connection to the pod, closed again at once; that it opens is success.' },
)
export type TCPSocketAction = TypeOf<typeof tcpSocketAction>
export const lifecycleHandler = s.object(
  'io.k8s.api.core.v1.LifecycleHandler',
  {
    exec: s.of(1, execAction, 'Runs a command in the container.'),
    httpGet: s.of(2, httpGetAction, 'Asks the container by HTTP.'),
    tcpSocket: s.of(
      3,
      tcpSocketAction,
      'Opens a TCP connection. Other kubelets fail such a hook: prefer exec or httpGet.',
    ),
    sleep: s.of(4, sleepAction, 'Waits, for instance until Services have stopped sending to a pod that ends.'),
  },
  { description: 'What a hook does; exactly one of these.' },
)
export type LifecycleHandler = TypeOf<typeof lifecycleHandler>
export const lifecycle = s.object(
  'io.k8s.api.core.v1.Lifecycle',
  {
    postStart: s.of(
      1,
      lifecycleHandler,
      'Runs beside the entrypoint once that was started. If it fails, the container is ended and restartPolicy decides.',
    ),
    preStop: s.of(
      2,
      lifecycleHandler,
      'Runs before the stop signal, not where the container ends by itself. Its time counts against the grace period.',
    ),
    stopSignal: s.string(3, {
      pointer: true,
      description: 'Signal that asks the container to end, such as SIGUSR1. Default: that of the image, else SIGTERM.',
    }),
  },
  { description: 'What happens around the life of a container.' },
)
export type Lifecycle = TypeOf<typeof lifecycle>
export const grpcAction = s.object(
  'io.k8s.api.core.v1.GRPCAction',
  {
    port: s.int32(1, { required: true, description: 'Number from 1 to 65535; names of ports do not work here.' }),
    service: s.string(2, {
      pointer: true,
      default: '',
      description: 'Service whose health is asked for. Default: empty, the server as a whole.',
    }),
  },
  { description: 'A call of grpc.health.v1.Health/Check at the pod; the answer SERVING is success.' },
)
export type GRPCAction = TypeOf<typeof grpcAction>
export const probe = s.object(
  'io.k8s.api.core.v1.Probe',
  {
    initialDelaySeconds: s.int32(
      2,
      'Seconds from the start of the container to the first question. Default: 0; a startupProbe often serves better.',
    ),
    timeoutSeconds: s.int32(3, {
      default: 1,
      description: 'Seconds after which a question without an answer has failed. Default: 1.',
    }),
    periodSeconds: s.int32(4, { default: 10, description: 'Seconds between two questions. Default: 10.' }),
    successThreshold: s.int32(5, {
      default: 1,
      description: 'Successes in a row after which it holds. Default: 1; liveness and startup allow nothing else.',
    }),
    failureThreshold: s.int32(6, {
      default: 3,
      description: 'Failures in a row after which the probe as a whole has failed. Default: 3.',
    }),
    terminationGracePeriodSeconds: s.int64(7, {
      pointer: true,
      description:
        'Seconds the container gets to end when this probe has failed. Default: those of the pod. Not for readiness.',
    }),
    exec: s.of(1, execAction, { within: [1], description: 'Runs a command in the container.' }),
    httpGet: s.of(2, httpGetAction, { within: [1], description: 'Asks by HTTP.' }),
    tcpSocket: s.of(3, tcpSocketAction, { within: [1], description: 'Tries whether a TCP port can be connected to.' }),
    grpc: s.of(4, grpcAction, { within: [1], description: 'Asks the gRPC health service.' }),
  },
  {
    description:
      'A question put to a container again and again. Exactly one of exec, httpGet, tcpSocket and grpc says how.',
  },
)
export type Probe = TypeOf<typeof probe>
