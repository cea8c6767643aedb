// MutatingAdmissionWebhook and ValidatingAdmissionWebhook: asks the webhooks that the configurations name about a request.
// Those that may change it one after the other, in the order of their configurations' names; those that judge it all at once.
// The configurations are read from the store for each request, so what was written is what counts. When somebody else is
// quicker with a write, all are asked again on what is there then, as upstream asks about updates and patches; upstream
// asks once about a create, which here happens again when its namespace or its quota has changed meanwhile. Who has said
// no, or nothing, is asked again only when the object is another by then.
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
import { rootsFault } from '../../api/custom/bundle.ts'
import { equalJson } from '../../api/equal.ts'
import { ApiError } from '../../api/error.ts'
import { type Kind, type KubeObject, storedKindOf } from '../../api/kind.ts'
import { mutatingWebhookConfiguration } from '../../api/kinds/mutatingwebhookconfiguration.ts'
import { type Namespace, namespace as namespaceKind } from '../../api/kinds/namespace.ts'
import { validatingWebhookConfiguration } from '../../api/kinds/validatingwebhookconfiguration.ts'
import { parseObject } from '../../api/parse.ts'
import { jsonPatch } from '../../api/patch/json.ts'
import type { Json, JsonObject } from '../../api/schema.ts'
import type { Webhook } from '../../api/types/admission.ts'
import { prefixEnd, type Store } from '../../kv/store.ts'
import { sortedBy } from '../../lib/sorted.ts'
import type { World } from '../../world/world.ts'
import type { Authorizer } from '../run-authorize.ts'
import type { Webhooks } from '../run-webhook.ts'
import { keyOf, objectOf, prefixOf } from '../stored.ts'
import type { Change, Hook, Mutated } from './admission.ts'
import { isExempt, matchedKind, namespaceMatches, namespaceOf, objectMatches, ruleMatches } from './match.ts'
import { callFailed, decodePatch, readReview, refusalOf, reviewOf, unborn, versionFor } from './review.ts'
import { conditionsHold } from './run-expressions.ts'

export type WebhookHooks = {
  readonly world: Pick<World, 'log' | 'random'>
  readonly store: Store
  readonly webhooks: Webhooks
  /** Other forms in which the same objects are served. */
  equivalents(kind: Kind): readonly Kind[]
  readonly authorizer: Authorizer
}

/** A webhook that is to be asked, and the form in which it is shown the objects. */
type Call = {
  readonly webhook: Webhook & { readonly reinvocationPolicy?: string }
  readonly id: string
  readonly configuration: string
  readonly form: Kind
}

type Configuration = KubeObject & { readonly webhooks?: readonly Call['webhook'][] }

async function configured(store: Store, kind: Kind): Promise<readonly Omit<Call, 'form'>[]> {
  const prefix = prefixOf(kind)
  const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
  const all = sortedBy(
    items.map(item => objectOf<Configuration>(item)),
    ({ metadata }) => metadata.name,
  )
  return all.flatMap(({ metadata, webhooks = [] }) =>
    webhooks.map(webhook => ({ webhook, id: `${metadata.name}/${webhook.name}`, configuration: metadata.name })),
  )
}

/** The form of `webhook`'s call about this change; undefined: it is not asked. */
async function formFor(context: WebhookHooks, webhook: Webhook, change: Change): Promise<Kind | undefined> {
  const { rules = [], matchPolicy, namespaceSelector, objectSelector } = webhook
  const form = matchedKind(rules, ruleMatches, change, matchPolicy, kind => context.equivalents(kind))
  if (form === undefined || !objectMatches(objectSelector, change)) return undefined
  const name = namespaceOf(change)
  const stored = name === '' ? undefined : await context.store.get(keyOf(namespaceKind, undefined, name))
  const labels = stored && objectOf<Namespace>(stored).metadata.labels
  return namespaceMatches(namespaceSelector, change, labels) ? form : undefined
}

async function converted<T extends KubeObject | undefined>(object: T, from: Kind, to: Kind): Promise<T> {
  if (object === undefined || from === to || object.kind !== from.kind) return object
  const stored = from.storedAs === undefined ? object : await from.storedAs.write(object)
  const [shown = stored] = to.storedAs === undefined ? [stored] : await to.storedAs.read([stored])
  return shown as T
}

/** The same change with its objects in the form of another kind that serves them. */
export async function inForm(change: Change, form: Kind): Promise<Change> {
  const { kind, objectKind } = change
  if (form === kind) return change
  return {
    ...change,
    kind: form,
    objectKind: objectKind === kind ? form : objectKind,
    object: await converted(change.object, kind, form),
    old: await converted(change.old, kind, form),
  }
}

/** Judges the conditions; one that cannot be judged refuses the request, or counts as not met where failures are ignored. */
async function isWanted(context: WebhookHooks, webhook: Webhook, shown: Change, asked: Kind): Promise<boolean> {
  try {
    return await conditionsHold(context, webhook.matchConditions ?? [], shown, shown.kind, asked)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    if (webhook.failurePolicy === 'Ignore') {
      context.world.log.warn('the conditions of a webhook could not be judged', { webhook: webhook.name, why })
      return false
    }
    const { name, kind } = shown
    const { group, plural } = kind
    const what = `${plural}${group === '' ? '' : `.${group}`} ${JSON.stringify(name)} is forbidden: ${why}`
    throw new ApiError('Forbidden', what, { name, ...(group !== '' && { group }), kind: plural })
  }
}

type Patch = readonly JsonObject[]

/** The webhook could not be asked, or answered what cannot be: failurePolicy says what becomes of that. */
class CallFailed extends Error {}

/** The patch that it wants made; empty for none. Throws its refusal; CallFailed. */
async function call(
  context: WebhookHooks,
  { webhook, form }: Call,
  shown: Change,
  asked: Kind,
  mutating: boolean,
  signal: AbortSignal,
): Promise<Patch> {
  const { name, sideEffects, admissionReviewVersions, clientConfig, timeoutSeconds } = webhook
  if (shown.dryRun && sideEffects !== 'None' && sideEffects !== 'NoneOnDryRun') {
    throw new ApiError('BadRequest', `admission webhook ${JSON.stringify(name)} does not support dry run`)
  }
  const uid = context.world.random.uuid()
  const version = versionFor(admissionReviewVersions)
  const review = reviewOf(shown, form, asked, uid, version)
  const unreadable = rootsFault(clientConfig.caBundle ?? '')
  if (unreadable !== undefined) throw new CallFailed(`could not get REST client: ${unreadable}`)
  const answer = await context.webhooks
    .post(clientConfig, review, timeoutSeconds * 1_000, signal)
    .catch(error => failed('failed to call webhook: ', error))
  const reviewed = attempted('received invalid webhook response: ', () => readReview(answer, uid, version, mutating))
  for (const [key, value] of Object.entries(reviewed.annotations))
    shown.notes.annotate({ key: `${name}/${key}`, value })
  reviewed.warnings.forEach(shown.notes.warn)
  if (!reviewed.allowed) throw refusalOf(name, reviewed.status)
  const { patch } = reviewed
  return patch === undefined ? [] : attempted('', () => decodePatch(patch))
}

function attempted<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    return failed(what, error)
  }
}

function failed(what: string, error: unknown): never {
  throw new CallFailed(`${what}${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

/** The same; empty as well when it could not be asked, and that is to be ignored. Throws its refusal. */
async function ask(
  context: WebhookHooks,
  about: Call,
  shown: Change,
  asked: Kind,
  mutating: boolean,
  index: number,
  signal: AbortSignal,
  round = 0,
): Promise<Patch> {
  try {
    return await call(context, about, shown, asked, mutating, signal)
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error
    const { name, failurePolicy } = about.webhook
    if (failurePolicy !== 'Ignore') throw callFailed(name, error)
    context.world.log.warn('a webhook failed, and is not asked', { webhook: name, error: String(error) })
    if (signal.aborted) throw new ApiError('Timeout', 'request did not complete within requested timeout')
    const key = `failed-open.${mutating ? 'mutation' : 'validating'}.${notePrefix}/round_${round}_index_${index}`
    shown.notes.annotate({ key, value: name })
    return []
  }
}

const notePrefix = 'webhook.admission.k8s.io'

function patched({ webhook }: Call, shown: Change, patch: Patch): KubeObject {
  if (shown.object === undefined) {
    const what = 'attempted to modify the object, which is not supported for this operation'
    const message = `admission webhook ${JSON.stringify(webhook.name)} ${what}`
    throw new ApiError('InternalError', `Internal error occurred: ${message}`)
  }
  try {
    const next = jsonPatch(shown.object as unknown as Json, patch)
    return parseObject(shown.objectKind, next, 'Ignore').object
  } catch (error) {
    // What the patch makes of the object is the webhook's fault, and never the requester's.
    const why = error instanceof Error ? error.message : String(error)
    throw new ApiError('InternalError', `Internal error occurred: ${why}`, undefined, { cause: error })
  }
}

/** What a webhook makes of the object; undefined: nothing else than it is. */
async function changed(
  context: WebhookHooks,
  about: Call,
  shown: Change,
  asked: Kind,
  index: number,
  signal: AbortSignal,
  round: number,
): Promise<KubeObject | undefined> {
  const { configuration, webhook } = about
  const note = (what: string, more: JsonObject, ofBody?: true) => {
    const value = JSON.stringify({ configuration, webhook: webhook.name, ...more })
    const key = `${what}.${notePrefix}/round_${round}_index_${index}`
    shown.notes.annotate({ key, value, ...(ofBody && { ofBody }) })
  }
  let next: KubeObject | undefined
  try {
    const patch = await ask(context, about, shown, asked, true, index, signal, round)
    if (patch.length > 0) {
      const made = patched(about, shown, patch)
      note('patch', { patch, patchType: 'JSONPatch' }, true)
      if (!equalJson(made, shown.object)) next = made
    }
    return next
  } finally {
    note('mutation', { mutated: next !== undefined })
  }
}

/** What the first round leaves for the second. */
type Round = {
  readonly output: KubeObject | undefined
  /** Those that want to be asked again when others have changed the object, and whether somebody has since. */
  readonly again: ReadonlyMap<string, boolean>
}

export function mutatingHook(context: WebhookHooks): Hook {
  async function askAll(change: Change, signal: AbortSignal, before: Round | undefined): Promise<Mutated> {
    let { object } = change
    let hasChanged = false
    const again = new Map<string, boolean>()
    // Plugins have changed the object since: all are concerned.
    const isOther = before !== undefined && !equalJson(before.output, object)
    const round = before === undefined ? 0 : 1
    const all = await configured(context.store, mutatingWebhookConfiguration)
    for (const [index, { webhook, id, configuration }] of all.entries()) {
      if (before !== undefined && !(isOther ? before.again.has(id) : before.again.get(id) === true)) continue
      const now = { ...change, object }
      const form = await formFor(context, webhook, now)
      if (form === undefined) continue
      const shown = await inForm(showing(now), form)
      if (!(await isWanted(context, webhook, shown, change.kind))) continue
      const about = { webhook, id, configuration, form }
      const next = await changed(context, about, shown, change.kind, index, signal, round)
      if (next !== undefined) {
        object = kept(await converted(next, form, change.kind), object)
        hasChanged = true
        for (const one of again.keys()) again.set(one, true)
      }
      if (webhook.reinvocationPolicy === 'IfNeeded') again.set(id, false)
    }
    const output: Round = { output: object, again }
    return { object: object as KubeObject, ...(hasChanged && { again: true }), left: output }
  }
  return {
    name: 'MutatingAdmissionWebhook',
    handles: change => !isExempt(change),
    mutate: (change, signal, left) => askAll(change, signal, left as Round | undefined),
    async validate(change, signal) {
      // Of what has no object to change they are asked all the same, and may refuse.
      if (change.verb !== 'DELETE') return undefined
      await askAll(change, signal, undefined)
      return undefined
    },
  }
}

function showing(change: Change): Change {
  const { verb, object, stamp } = change
  return verb === 'CREATE' && object !== undefined ? { ...change, object: unborn(object, stamp.suffix) } : change
}

/** What the webhook was not shown of the metadata stays. */
function kept(next: KubeObject, before: KubeObject | undefined): KubeObject {
  // The options of a connection have none.
  if (before?.metadata === undefined) return next
  const { name, uid, creationTimestamp } = before.metadata
  return { ...next, metadata: { ...next.metadata, name, uid, creationTimestamp } }
}

export function validatingHook(context: WebhookHooks): Hook {
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: change => !isExempt(change),
    async validate(change, signal) {
      const wanted: { readonly about: Call; readonly shown: Change }[] = []
      for (const one of await configured(context.store, validatingWebhookConfiguration)) {
        const form = await formFor(context, one.webhook, change)
        if (form === undefined) continue
        const shown = await inForm(change, form)
        if (await isWanted(context, one.webhook, shown, change.kind)) wanted.push({ about: { ...one, form }, shown })
      }
      const results = await Promise.allSettled(
        wanted.map(({ about, shown }, index) => ask(context, about, shown, change.kind, false, index, signal)),
      )
      for (const result of results) if (result.status === 'rejected') throw result.reason
      return undefined
    },
  }
}

/** The forms in which the objects of a kind are served beside its own. */
export function equivalentsIn(kinds: readonly Kind[], kind: Kind): readonly Kind[] {
  const stored = storedKindOf(kind)
  return kinds.filter(one => one !== kind && one.stored && storedKindOf(one) === stored)
}
