// Gets a container's image, with the credentials of the pod's pull secrets.
import { type RegistryAuth, RuntimeError } from '../world/runtime.ts'
import type { Context } from './context.ts'
import type { Pod } from './plan.ts'

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never'

/** Resolves once the image is there, by its policy, and gives the user that it names. Rejects with RuntimeError. */
export async function ensureImage(
  context: Context,
  pod: Pod,
  container: string,
  image: string,
  policy: PullPolicy | undefined,
  signal: AbortSignal,
): Promise<{ readonly user: string }> {
  const { world, runtime } = context
  const tell = (reason: string, message: string) => context.record(pod, 'Normal', reason, message, container)
  const there = await runtime.image(image, signal)
  if (there !== undefined && (policy !== 'Always' || !runtime.capabilities.images)) {
    tell('Pulled', `Container image "${image}" already present on machine`)
    return there
  }
  if (policy === 'Never') {
    const message = `Container image "${image}" is not present with pull policy of Never`
    throw new RuntimeError('ErrImageNeverPull', message)
  }
  tell('Pulling', `Pulling image "${image}"`)
  const startedMs = world.clock.monotonicMs()
  await runtime.perform({ kind: 'pull', image, auths: authsOf(context, pod) }, signal)
  const tookMs = Math.round(world.clock.monotonicMs() - startedMs)
  tell('Pulled', `Successfully pulled image "${image}" in ${tookMs}ms`)
  const pulled = await runtime.image(image, signal)
  if (pulled === undefined) throw new RuntimeError('ErrImagePull', `image "${image}" was pulled and is gone again`)
  return pulled
}

type Auths = Readonly<Record<string, { username?: string; password?: string; auth?: string }>>

/** A secret that is missing or malformed is told and left out, as upstream: the image may be public. */
function authsOf(context: Context, pod: Pod): readonly RegistryAuth[] {
  const namespace = pod.metadata.namespace ?? 'default'
  return (pod.spec.imagePullSecrets ?? []).flatMap(({ name = '' }) => {
    const data = context.secret(namespace, name)?.data
    const config = data?.['.dockerconfigjson']
    const legacy = data?.['.dockercfg']
    try {
      if (config !== undefined) return authsIn((decoded(config) as { auths?: Auths }).auths ?? {})
      if (legacy !== undefined) return authsIn(decoded(legacy) as Auths)
      throw new Error('it is not there, or holds no credentials')
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const text = `Unable to use the image pull secret ${name}: ${why}; attempting to pull the image may not succeed.`
      context.record(pod, 'Warning', 'FailedToRetrieveImagePullSecret', text)
      return []
    }
  })
}

function decoded(base64: string): unknown {
  return JSON.parse(Buffer.from(base64, 'base64').toString('utf8'))
}

function authsIn(auths: Auths): RegistryAuth[] {
  return Object.entries(auths).map(([server, entry]) => {
    const [user = '', ...rest] = Buffer.from(entry.auth ?? '', 'base64')
      .toString('utf8')
      .split(':')
    return { server, username: entry.username ?? user, password: entry.password ?? rest.join(':') }
  })
}
