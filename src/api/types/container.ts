// Containers: image, environment, ports, mounts and what they may use. Probes and hooks: probe.ts; rights: security.ts.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container

import { s, scalars, type TypeOf } from '../schema.ts'
import { lifecycle, probe } from './probe.ts'
import { securityContext } from './security.ts'
import { objectFieldSelector, resourceFieldSelector } from './volume.ts'

export const configMapKeySelector = s.object(
  'io.k8s.api.core.v1.ConfigMapKeySelector',
  {
    key: s.string(2, { required: true, description: 'Key below data whose value is taken.' }),
    optional: s.boolean(3, {
      pointer: true,
      description: 'True: without the ConfigMap or the key nothing is set. Default: the container waits for them.',
    }),
    name: s.string(1, { within: [1], description: 'ConfigMap of the namespace of the pod. Required.' }),
  },
  { atomic: true, description: 'One value of a ConfigMap.' },
)
export type ConfigMapKeySelector = TypeOf<typeof configMapKeySelector>
export const secretKeySelector = s.object(
  'io.k8s.api.core.v1.SecretKeySelector',
  {
    key: s.string(2, { required: true, description: 'Key below data whose decoded value is taken.' }),
    optional: s.boolean(3, {
      pointer: true,
      description: 'True: without the Secret or the key nothing is set. Default: the container waits for them.',
    }),
    name: s.string(1, { within: [1], description: 'Secret of the namespace of the pod. Required.' }),
  },
  { atomic: true, description: 'One value of a Secret.' },
)
export type SecretKeySelector = TypeOf<typeof secretKeySelector>
export const envVarSource = s.object(
  'io.k8s.api.core.v1.EnvVarSource',
  {
    fieldRef: s.of(
      1,
      objectFieldSelector,
      'What is known of the pod: name, namespace, uid, a label or annotation, node, service account, addresses.',
    ),
    resourceFieldRef: s.of(2, resourceFieldSelector, 'A request or limit of a container: limits.memory.'),
    configMapKeyRef: s.of(3, configMapKeySelector, 'One key of a ConfigMap, as it is when the container starts.'),
    secretKeyRef: s.of(4, secretKeySelector, 'One key of a Secret, as it is when the container starts.'),
  },
  { description: 'Where a variable gets its value from; exactly one of these.' },
)
export type EnvVarSource = TypeOf<typeof envVarSource>
export const envVar = s.object(
  'io.k8s.api.core.v1.EnvVar',
  {
    name: s.string(1, { required: true, description: 'Printable ASCII without =. Of equal names the last one holds.' }),
    value: s.string(
      2,
      'Literal text, in which $(NAME) becomes a variable that is set before this one and $$ becomes $. Default: empty.',
    ),
    valueFrom: s.of(3, envVarSource, 'Takes the value from an object; excludes value.'),
  },
  { description: 'An environment variable.' },
)
export type EnvVar = TypeOf<typeof envVar>
export const configMapEnvSource = s.object(
  'io.k8s.api.core.v1.ConfigMapEnvSource',
  {
    optional: s.boolean(2, {
      pointer: true,
      description: 'True: starts also without the ConfigMap. Default: the container waits for it.',
    }),
    name: s.string(1, { within: [1], description: 'ConfigMap of the namespace of the pod. Required.' }),
  },
  { description: 'A ConfigMap of which every key of data becomes a variable.' },
)
export type ConfigMapEnvSource = TypeOf<typeof configMapEnvSource>
export const secretEnvSource = s.object(
  'io.k8s.api.core.v1.SecretEnvSource',
  {
    optional: s.boolean(2, {
      pointer: true,
      description: 'True: starts also without the Secret. Default: the container waits for it.',
    }),
    name: s.string(1, { within: [1], description: 'Secret of the namespace of the pod. Required.' }),
  },
  { description: 'A Secret of which every key becomes a variable, its value decoded.' },
)
export type SecretEnvSource = TypeOf<typeof secretEnvSource>
export const envFromSource = s.object(
  'io.k8s.api.core.v1.EnvFromSource',
  {
    prefix: s.string(1, 'Put before each key to make the name of its variable. Default: none.'),
    configMapRef: s.of(2, configMapEnvSource, 'All of a ConfigMap; excludes secretRef.'),
    secretRef: s.of(3, secretEnvSource, 'All of a Secret; excludes configMapRef.'),
  },
  { description: 'Many environment variables at once.' },
)
export type EnvFromSource = TypeOf<typeof envFromSource>
export const containerPort = s.object(
  'io.k8s.api.core.v1.ContainerPort',
  {
    name: s.string(
      1,
      'By which Services and probes can mean it: at most 15 lower-case letters, digits and dashes, once in a container.',
    ),
    hostPort: s.int32(
      2,
      'Port of the node that leads here; one pod per node can have it. With hostNetwork it equals containerPort.',
    ),
    containerPort: s.int32(3, { required: true, description: 'What the program listens on, 1 to 65535.' }),
    protocol: s.oneOf(4, ['TCP', 'UDP', 'SCTP'], { default: 'TCP', description: 'Default: TCP.' }),
    hostIP: s.string(5, 'Address of the node on which hostPort answers. Default: every one.'),
  },
  { description: 'A port that a container listens on. Without hostPort this tells and names it, and opens nothing.' },
)
export type ContainerPort = TypeOf<typeof containerPort>
export const containerResizePolicy = s.object(
  'io.k8s.api.core.v1.ContainerResizePolicy',
  {
    resourceName: s.string(1, { required: true, description: 'cpu or memory.' }),
    restartPolicy: s.string(2, {
      required: true,
      description: 'NotRequired, or RestartContainer, which is what allows to lower a memory limit.',
    }),
  },
  { description: 'What pods/resize may do to a container; nodes do not resize running containers here.' },
)
export type ContainerResizePolicy = TypeOf<typeof containerResizePolicy>
export const resourceClaim = s.object(
  'io.k8s.api.core.v1.ResourceClaim',
  {
    name: s.string(1, { required: true, description: 'One of resourceClaims of the pod, by its name there.' }),
    request: s.string(2, 'One request of that claim. Default: all that it got.'),
  },
  { description: 'Use of a claim for devices. Stored, without effect here.' },
)
export type ResourceClaim = TypeOf<typeof resourceClaim>
export const resourceRequirements = s.object(
  'io.k8s.api.core.v1.ResourceRequirements',
  {
    limits: s.map(
      1,
      scalars.quantity,
      'The most it may use: slowed beyond cpu (cores, 500m is half of one), killed beyond memory (bytes, 1Gi); others only count.',
    ),
    requests: s.map(
      2,
      scalars.quantity,
      'What the scheduler sets aside on the node; not above limits. Default: the limit of the same resource, if any.',
    ),
    claims: s.list(3, resourceClaim, {
      listType: 'map',
      mapKeys: ['name'],
      description: 'Which devices of the pod it may use. Stored, without effect here.',
    }),
  },
  { description: 'Amounts of cpu, memory and other resources, by name.' },
)
export type ResourceRequirements = TypeOf<typeof resourceRequirements>
export const volumeDevice = s.object(
  'io.k8s.api.core.v1.VolumeDevice',
  {
    name: s.string(1, { required: true, description: 'Volume of the pod, from a claim with volumeMode Block.' }),
    devicePath: s.string(2, { required: true, description: 'Path in the container at which the device appears.' }),
  },
  { description: 'A volume as a raw block device. Stored, without effect here.' },
)
export type VolumeDevice = TypeOf<typeof volumeDevice>
export const volumeMount = s.object(
  'io.k8s.api.core.v1.VolumeMount',
  {
    name: s.string(1, { required: true, description: 'Which of the volumes of the pod.' }),
    readOnly: s.boolean(2, 'True: the container cannot write to it. Default: false.'),
    mountPath: s.string(3, { required: true, description: 'Path in the container; no two mounts have the same.' }),
    subPath: s.string(
      4,
      'Path inside the volume to mount alone, made as a folder where missing. Updates of a ConfigMap or Secret do not come.',
    ),
    mountPropagation: s.oneOf(5, ['None', 'HostToContainer', 'Bidirectional'], {
      pointer: true,
      description:
        'Whether mounts made later below it are seen from the other side; Bidirectional needs privileged. Default: None.',
    }),
    subPathExpr: s.string(
      6,
      'As subPath, with each $(NAME) replaced by a variable that must be set; excludes subPath.',
    ),
    recursiveReadOnly: s.string(7, {
      pointer: true,
      description:
        'Whether readOnly covers mounts below: Disabled, IfPossible or Enabled. Stored, without effect here.',
    }),
  },
  { description: 'A volume at a path of the container.' },
)
export type VolumeMount = TypeOf<typeof volumeMount>
export const container = s.object(
  'io.k8s.api.core.v1.Container',
  {
    name: s.string(1, {
      required: true,
      description: 'DNS label, unique among all containers of the pod; logs, exec and events call it so.',
    }),
    image: s.string(
      2,
      'registry/repository:tag or repository@digest; without either the tag latest. Can be changed, which restarts it.',
    ),
    command: s.list(
      3,
      scalars.string,
      'Runs instead of ENTRYPOINT and CMD of the image, without a shell. $(NAME) becomes the variable, $$ becomes $.',
    ),
    args: s.list(
      4,
      scalars.string,
      'Arguments of command, or of ENTRYPOINT instead of CMD. $(NAME) becomes the variable, $$ becomes $.',
    ),
    workingDir: s.string(5, 'Directory that the program starts in. Default: that of the image, else /.'),
    ports: s.list(6, containerPort, {
      listType: 'map',
      mapKeys: ['containerPort', 'protocol'],
      mergeKey: 'containerPort',
      description: 'Ports it listens on, so that they have names or a hostPort. Ports not listed can be reached too.',
    }),
    env: s.list(7, envVar, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Environment variables, which prevail over envFrom; set once, as the container starts.',
    }),
    resources: s.of(8, resourceRequirements, {
      default: {},
      description:
        'What is set aside for it (requests) and how much it may use (limits). Default: nothing and no bound.',
    }),
    volumeMounts: s.list(9, volumeMount, {
      listType: 'map',
      mapKeys: ['mountPath'],
      mergeKey: 'mountPath',
      description: 'Which volumes of the pod it sees, and where.',
    }),
    livenessProbe: s.of(10, probe, 'When it fails, the container is restarted. Absent: it only is when it exits.'),
    readinessProbe: s.of(11, probe, 'While it fails, Services send the pod no traffic. Absent: ready once started.'),
    lifecycle: s.of(12, lifecycle, 'Hooks after the start and before the end, and the signal that ends it.'),
    terminationMessagePath: s.string(13, {
      default: '/dev/termination-log',
      description: 'File of which its status shows 4096 bytes when it has ended. Default: /dev/termination-log.',
    }),
    imagePullPolicy: s.oneOf(14, ['Always', 'IfNotPresent', 'Never'], {
      description:
        'When the image is pulled. Default: Always if its tag is latest or it has neither tag nor digest, else IfNotPresent.',
    }),
    securityContext: s.of(15, securityContext, 'User, rights and filters; prevails over securityContext of the pod.'),
    stdin: s.boolean(
      16,
      'True: keeps its input open, for attach to write to. Default: false, it reads the end at once.',
    ),
    stdinOnce: s.boolean(17, 'True: the input ends for good when the first client of attach leaves. Default: false.'),
    tty: s.boolean(18, 'True: runs on a terminal, which joins its two outputs; wants stdin too. Default: false.'),
    envFrom: s.list(
      19,
      envFromSource,
      'Variables from whole ConfigMaps and Secrets; of equal names the last one holds.',
    ),
    terminationMessagePolicy: s.oneOf(20, ['File', 'FallbackToLogsOnError'], {
      default: 'File',
      description:
        'FallbackToLogsOnError: where it fails and the file is empty, the end of the log is shown, 80 lines or 2048 bytes. Default: File.',
    }),
    volumeDevices: s.list(21, volumeDevice, {
      listType: 'map',
      mapKeys: ['devicePath'],
      mergeKey: 'devicePath',
      description: 'Volumes as raw block devices. Stored, without effect here.',
    }),
    startupProbe: s.of(
      22,
      probe,
      'Until it succeeds, the other probes wait; when it fails, the container is restarted. For slow starts.',
    ),
    resizePolicy: s.list(
      23,
      containerResizePolicy,
      'Whether a later change of resources means a restart. Nodes resize no running container here.',
    ),
    restartPolicy: s.oneOf(24, ['Always'], {
      pointer: true,
      description:
        'For init containers alone: Always makes a sidecar, which runs on beside the others until the pod ends.',
    }),
  },
  { description: 'A program of a pod: which image, how it is started, what it sees and may use.' },
)
export type Container = TypeOf<typeof container>

const absent = 'Leave it out: ephemeral containers have none.'
export const ephemeralContainer = s.object(
  'io.k8s.api.core.v1.EphemeralContainer',
  {
    targetContainerName: s.string(
      2,
      'Container whose processes it shall see; must exist. Without effect here: shareProcessNamespace of the pod decides.',
    ),
    name: s.string(1, {
      required: true,
      within: [1],
      description: 'DNS label, unique among all containers of the pod, also of those that have ended.',
    }),
    image: s.string(2, { within: [1], description: 'Image with the tools for looking around.' }),
    command: s.list(3, scalars.string, {
      within: [1],
      description: 'Runs instead of ENTRYPOINT and CMD of the image, without a shell. $(NAME) becomes the variable.',
    }),
    args: s.list(4, scalars.string, {
      within: [1],
      description: 'Arguments of command, or of ENTRYPOINT instead of CMD. $(NAME) becomes the variable.',
    }),
    workingDir: s.string(5, {
      within: [1],
      description: 'Directory it starts in. Default: that of the image, else /.',
    }),
    ports: s.list(6, containerPort, {
      within: [1],
      listType: 'map',
      mapKeys: ['containerPort', 'protocol'],
      mergeKey: 'containerPort',
      description: absent,
    }),
    env: s.list(7, envVar, {
      within: [1],
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Environment variables, which prevail over envFrom.',
    }),
    resources: s.of(8, resourceRequirements, {
      default: {},
      within: [1],
      description: 'Leave it out: nothing is set aside for ephemeral containers.',
    }),
    volumeMounts: s.list(9, volumeMount, {
      within: [1],
      listType: 'map',
      mapKeys: ['mountPath'],
      mergeKey: 'mountPath',
      description: 'Which volumes of the pod it sees, and where; for instance those of the container it looks into.',
    }),
    livenessProbe: s.of(10, probe, { within: [1], description: absent }),
    readinessProbe: s.of(11, probe, { within: [1], description: absent }),
    lifecycle: s.of(12, lifecycle, { within: [1], description: absent }),
    terminationMessagePath: s.string(13, {
      default: '/dev/termination-log',
      within: [1],
      description: 'File of which its status shows 4096 bytes when it has ended. Default: /dev/termination-log.',
    }),
    imagePullPolicy: s.oneOf(14, ['Always', 'IfNotPresent', 'Never'], {
      within: [1],
      description:
        'When the image is pulled. Default: Always if its tag is latest or it has neither tag nor digest, else IfNotPresent.',
    }),
    securityContext: s.of(15, securityContext, {
      within: [1],
      description: 'User, rights and filters, for instance to add SYS_PTRACE; prevails over that of the pod.',
    }),
    stdin: s.boolean(16, { within: [1], description: 'True: keeps an input open, as a shell needs. Default: false.' }),
    stdinOnce: s.boolean(17, {
      within: [1],
      description: 'True: the input ends for good when the first client leaves, and a shell with it. Default: false.',
    }),
    tty: s.boolean(18, { within: [1], description: 'True: runs on a terminal; wants stdin too. Default: false.' }),
    envFrom: s.list(19, envFromSource, {
      within: [1],
      description: 'Variables from whole ConfigMaps and Secrets; of equal names the last one holds.',
    }),
    terminationMessagePolicy: s.oneOf(20, ['File', 'FallbackToLogsOnError'], {
      default: 'File',
      within: [1],
      description:
        'FallbackToLogsOnError: where it fails and the file is empty, the end of the log is shown. Default: File.',
    }),
    volumeDevices: s.list(21, volumeDevice, {
      within: [1],
      listType: 'map',
      mapKeys: ['devicePath'],
      mergeKey: 'devicePath',
      description: 'Volumes as raw block devices. Stored, without effect here.',
    }),
    startupProbe: s.of(22, probe, { within: [1], description: absent }),
    resizePolicy: s.list(23, containerResizePolicy, { within: [1], description: absent }),
    restartPolicy: s.string(24, {
      pointer: true,
      within: [1],
      description: 'Leave it out: an ephemeral container is never restarted.',
    }),
  },
  {
    description:
      'A container for looking into a pod that runs (kubectl debug). It is added by pods/ephemeralcontainers, and then ' +
      'neither changed nor removed nor restarted.',
  },
)
export type EphemeralContainer = TypeOf<typeof ephemeralContainer>
