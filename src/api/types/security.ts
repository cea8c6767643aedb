// As whom processes of pods run, and what the kernel lets them do: of a container, and shared by all of a pod.
// https://kubernetes.io/docs/tasks/configure-pod-container/security-context/

import { s, scalars, type TypeOf } from '../schema.ts'

export const appArmorProfile = s.object(
  'io.k8s.api.core.v1.AppArmorProfile',
  {
    type: s.string(1, {
      required: true,
      description: 'RuntimeDefault: that of the runtime; Unconfined: none; Localhost: the one of localhostProfile.',
    }),
    localhostProfile: s.string(2, {
      pointer: true,
      description: 'Name of a profile that is loaded on the node. Required with Localhost, else forbidden.',
    }),
  },
  { description: 'An AppArmor profile for processes. Pod Security judges it; nodes do not apply it here.' },
)
export type AppArmorProfile = TypeOf<typeof appArmorProfile>
export const capabilities = s.object(
  'io.k8s.api.core.v1.Capabilities',
  {
    add: s.list(1, scalars.string, 'Given in addition, named without CAP_: NET_ADMIN. ALL is every one there is.'),
    drop: s.list(2, scalars.string, 'Taken away. ALL leaves only those of add, which is the safest start.'),
  },
  { description: 'Linux capabilities by which a container differs from what the runtime gives.' },
)
export type Capabilities = TypeOf<typeof capabilities>
export const seLinuxOptions = s.object(
  'io.k8s.api.core.v1.SELinuxOptions',
  {
    user: s.string(1, 'First part of the label: system_u.'),
    role: s.string(2, 'Second part: system_r.'),
    type: s.string(3, 'Third part, on which most policies decide: container_t.'),
    level: s.string(4, 'Last part, which keeps equals apart: s0:c123,c456.'),
  },
  { description: 'The SELinux label user:role:type:level. Pod Security judges it; nodes do not apply it here.' },
)
export type SELinuxOptions = TypeOf<typeof seLinuxOptions>
export const seccompProfile = s.object(
  'io.k8s.api.core.v1.SeccompProfile',
  {
    type: s.string(1, {
      required: true,
      description:
        'RuntimeDefault: the filter of the runtime, also where no profile is named; Unconfined: none; ' +
        'Localhost: a file of the node, here the same as RuntimeDefault.',
    }),
    localhostProfile: s.string(2, {
      pointer: true,
      description: 'Relative path of a profile. Required with Localhost, else forbidden; without effect here.',
    }),
  },
  { description: 'Which system calls processes may use.' },
)
export type SeccompProfile = TypeOf<typeof seccompProfile>
export const windowsSecurityContextOptions = s.object(
  'io.k8s.api.core.v1.WindowsSecurityContextOptions',
  {
    gmsaCredentialSpecName: s.string(1, { pointer: true, description: 'Name of the GMSACredentialSpec to use.' }),
    gmsaCredentialSpec: s.string(2, {
      pointer: true,
      description: 'Contents of that GMSACredentialSpec, written by its webhook.',
    }),
    runAsUserName: s.string(3, {
      pointer: true,
      description: 'User of the entrypoint. Default: that of the image.',
    }),
    hostProcess: s.boolean(4, {
      pointer: true,
      description: 'True: runs on the host itself; for all containers of a pod or none, and with hostNetwork.',
    }),
  },
  { description: 'Settings for Windows nodes, of which there are none here: stored, without effect.' },
)
export type WindowsSecurityContextOptions = TypeOf<typeof windowsSecurityContextOptions>
export const securityContext = s.object(
  'io.k8s.api.core.v1.SecurityContext',
  {
    capabilities: s.of(1, capabilities, 'Linux capabilities to add to and drop from those of the runtime.'),
    privileged: s.boolean(2, {
      pointer: true,
      description: 'True: as powerful as root on the node, with all capabilities and devices. Default: false.',
    }),
    seLinuxOptions: s.of(3, seLinuxOptions, 'SELinux label of the processes. Default: that of the pod.'),
    runAsUser: s.int64(4, {
      pointer: true,
      description: 'User ID of the entrypoint. Default: that of the pod, else of the image.',
    }),
    runAsNonRoot: s.boolean(5, {
      pointer: true,
      description:
        'True: is not started as user 0. An image that names its user by a word needs runAsUser too. Default: as the pod.',
    }),
    readOnlyRootFilesystem: s.boolean(6, {
      pointer: true,
      description: 'True: only volumes can be written. Default: false.',
    }),
    allowPrivilegeEscalation: s.boolean(7, {
      pointer: true,
      description:
        'False: no process gains rights its parent lacks, as by setuid; excludes privileged and CAP_SYS_ADMIN. Default: true.',
    }),
    runAsGroup: s.int64(8, {
      pointer: true,
      description: 'Primary group ID of the entrypoint. Default: that of the pod, else of the image.',
    }),
    procMount: s.string(9, {
      pointer: true,
      description: 'Default hides or write-protects parts of /proc; Unmasked shows it whole. Absent: Default.',
    }),
    windowsOptions: s.of(10, windowsSecurityContextOptions, 'For Windows nodes; without effect here.'),
    seccompProfile: s.of(11, seccompProfile, 'Filter of system calls. Default: that of the pod, else of the runtime.'),
    appArmorProfile: s.of(12, appArmorProfile, 'AppArmor profile. Default: that of the pod. Not applied here.'),
  },
  { description: 'As whom a container runs and what it may do; it prevails over what the pod says of the same.' },
)
export type SecurityContext = TypeOf<typeof securityContext>
export const sysctl = s.object(
  'io.k8s.api.core.v1.Sysctl',
  {
    name: s.string(1, { required: true, description: 'Such as net.core.somaxconn; unique in the pod.' }),
    value: s.string(2, { required: true, default: '', description: 'Text as it would be written to /proc/sys.' }),
  },
  { description: 'A kernel parameter that belongs to a namespace of the pod.' },
)
export type Sysctl = TypeOf<typeof sysctl>
export const podSecurityContext = s.object(
  'io.k8s.api.core.v1.PodSecurityContext',
  {
    seLinuxOptions: s.of(1, seLinuxOptions, 'SELinux label of all containers that name none of their own.'),
    runAsUser: s.int64(2, {
      pointer: true,
      description: 'User ID of the entrypoints, 0 to 2147483647. Default: that of each image.',
    }),
    runAsNonRoot: s.boolean(3, {
      pointer: true,
      description: 'True: no container is started as user 0; it waits with CreateContainerConfigError.',
    }),
    supplementalGroups: s.list(
      4,
      scalars.int64,
      'Group IDs that every process has besides its primary group and fsGroup.',
    ),
    fsGroup: s.int64(5, {
      pointer: true,
      description: 'Group ID to which volumes but hostPath belong, and which every process has.',
    }),
    runAsGroup: s.int64(6, {
      pointer: true,
      description: 'Primary group ID of the entrypoints. Default: that of each image.',
    }),
    sysctls: s.list(7, sysctl, 'Kernel parameters of the namespaces of the pod. A wrong one keeps it from starting.'),
    windowsOptions: s.of(8, windowsSecurityContextOptions, 'For Windows nodes; without effect here.'),
    fsGroupChangePolicy: s.string(9, {
      pointer: true,
      description:
        'Always, or OnRootMismatch to spare volumes whose root has fsGroup already. Stored, without effect here.',
    }),
    seccompProfile: s.of(10, seccompProfile, 'Filter of system calls of containers that name none of their own.'),
    appArmorProfile: s.of(11, appArmorProfile, 'AppArmor profile of containers without their own. Not applied here.'),
    supplementalGroupsPolicy: s.string(12, {
      pointer: true,
      description: 'Merge adds the groups that the image gives the user, Strict does not. Here they are always merged.',
    }),
    seLinuxChangePolicy: s.string(13, {
      pointer: true,
      description: 'How volumes get the SELinux label: MountOption or Recursive. Stored, without effect here.',
    }),
  },
  { description: 'What holds for all containers of a pod where their own securityContext says nothing else.' },
)
export type PodSecurityContext = TypeOf<typeof podSecurityContext>
