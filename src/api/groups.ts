// In which order groups and versions are shown, and with it which of two groups a client means by a name that both have.
// Facts of kube-apiserver's own APIServices. Pure.
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/#APIServiceSpec
import { compareText } from '../lib/sorted.ts'

/** As in an APIService: the larger comes first. */
export type Priority = { readonly group: number; readonly version: number }

const groups: Readonly<Record<string, number>> = {
  'apiregistration.k8s.io': 19_000,
  '': 18_000,
  apps: 17_800,
  'events.k8s.io': 17_750,
  'authentication.k8s.io': 17_700,
  'authorization.k8s.io': 17_600,
  autoscaling: 17_500,
  batch: 17_400,
  'certificates.k8s.io': 17_300,
  'networking.k8s.io': 17_200,
  policy: 17_100,
  'rbac.authorization.k8s.io': 17_000,
  'storage.k8s.io': 16_800,
  'apiextensions.k8s.io': 16_700,
  'admissionregistration.k8s.io': 16_700,
  'scheduling.k8s.io': 16_600,
  'coordination.k8s.io': 16_500,
  'node.k8s.io': 16_300,
  'discovery.k8s.io': 16_200,
  'flowcontrol.apiserver.k8s.io': 16_100,
  // Of metrics-server's own manifest.
  'metrics.k8s.io': 100,
  'flotilla.dev': 100,
}
const versions: Readonly<Record<string, number>> = {
  '/v1': 1,
  'autoscaling/v2': 30,
  'flowcontrol.apiserver.k8s.io/v1': 21,
  'metrics.k8s.io/v1beta1': 100,
  'flotilla.dev/v1': 100,
}
/** What a group of custom resources gets. */
const customGroup = 1_000
const customVersion = 100

/** Whether it is a group of every cluster, and not of custom resources. */
export function isBuiltIn(group: string): boolean {
  return groups[group] !== undefined
}

/** Of a group and version that this server answers for itself. */
export function priorityOf(group: string, version: string): Priority {
  const known = groups[group]
  if (known === undefined) return { group: customGroup, version: customVersion }
  const stage = /beta/.test(version) ? 9 : /alpha/.test(version) ? 1 : 15
  return { group: known, version: versions[`${group}/${version}`] ?? stage }
}

/** The group with the larger priority first, by name among equals. */
export function compareGroups(a: string, b: string, priority: (group: string) => number): number {
  return priority(b) - priority(a) || compareText(a, b)
}

/** The version with the larger priority first; among equals v2 before v1, v1 before v1beta2, v1beta1 before v1alpha1. */
export function compareVersions(a: string, b: string, priority: (version: string) => number): number {
  const difference = priority(b) - priority(a)
  if (difference !== 0) return difference
  const left = parts(a)
  const right = parts(b)
  for (const [i, part] of left.entries()) if (part !== right[i]) return (right[i] ?? 0) - part
  return compareText(a, b)
}

function parts(version: string): readonly number[] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version)
  if (match === null) return [-1, 0, 0]
  const [, major = '0', stage = '', minor = '0'] = match
  return [stage === '' ? 2 : stage === 'beta' ? 1 : 0, Number(major), Number(minor)]
}
