// Objects in the form of another version, as their definition says: by name alone, or by asking its webhook, once for all
// objects of a read. What comes back must be the same objects; of their metadata only labels and annotations may differ.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion
import { type Convert, renamed } from '../api/custom/kind.ts'
import { ApiError } from '../api/error.ts'
import type { KubeObject } from '../api/kind.ts'
import type { CustomResourceDefinition } from '../api/kinds/customresourcedefinition.ts'
import { isList, isObject } from '../api/parse.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import type { World } from '../world/world.ts'
import type { Webhooks } from './run-webhook.ts'

const timeoutMs = 30_000
/** Those that we speak, the wanted one first. */
const reviewVersions = ['v1', 'v1beta1']

export type ConversionContext = { readonly world: Pick<World, 'random'>; readonly webhooks: Webhooks }

export function convertersOf(
  context: ConversionContext,
  signal: AbortSignal,
): (definition: CustomResourceDefinition) => Convert {
  return ({ spec }) => {
    const { strategy, webhook } = spec.conversion ?? {}
    const config = webhook?.clientConfig
    if (strategy !== 'Webhook' || webhook === undefined || config === undefined) return renamed
    const known = webhook.conversionReviewVersions.filter(version => reviewVersions.includes(version))
    const reviewVersion = known[0] ?? 'v1'
    return (objects, apiVersion) => {
      const others = objects.filter(object => object.apiVersion !== apiVersion)
      const [first] = others
      if (first === undefined) return objects
      const ask = async () => {
        const uid = context.world.random.uuid()
        const review = {
          kind: 'ConversionReview',
          apiVersion: `apiextensions.k8s.io/${reviewVersion}`,
          request: { uid, desiredAPIVersion: apiVersion, objects: others as unknown as readonly Json[] },
        }
        const failed = (why: string) => fault(first, why)
        let answer: unknown
        try {
          answer = await context.webhooks.post(config, review, timeoutMs, signal)
        } catch (error) {
          throw failed(`failed: ${error instanceof Error ? error.message : String(error)}`)
        }
        const converted = responseOf(answer, review, failed)
        const forms = new Map(others.map((object, i) => [object, checked(object, converted[i], apiVersion, i, failed)]))
        return objects.map(object => forms.get(object) ?? object)
      }
      return ask()
    }
  }
}

type Fault = (why: string) => ApiError

function fault({ apiVersion, kind }: KubeObject, why: string): ApiError {
  return new ApiError('InternalError', `conversion webhook for ${apiVersion}, Kind=${kind} ${why}`)
}

function responseOf(
  answer: unknown,
  review: {
    readonly apiVersion: string
    readonly request: { readonly uid: string; readonly objects: readonly Json[] }
  },
  failed: Fault,
): readonly Json[] {
  const invalid = (why: string) => failed(`failed: ${why}`)
  if (!isObject(answer) || answer['kind'] !== 'ConversionReview' || answer['apiVersion'] !== review.apiVersion) {
    const wanted = `apiextensions.k8s.io/${review.apiVersion.split('/')[1] ?? ''}, Kind=ConversionReview`
    throw invalid(`Expected webhook response of ${wanted}`)
  }
  const { response } = answer
  if (!isObject(response)) throw invalid('no response provided')
  const { uid, result, convertedObjects } = response
  const isV1 = review.apiVersion.endsWith('/v1')
  if (isV1 && uid !== review.request.uid)
    throw invalid(`expected response.uid=${JSON.stringify(review.request.uid)}, got ${JSON.stringify(uid ?? '')}`)
  const status = isObject(result) ? result : {}
  if (status['status'] !== 'Success') {
    const message = typeof status['message'] === 'string' && status['message'] !== '' ? status['message'] : undefined
    throw invalid(message ?? `response.result.status was ${JSON.stringify(status['status'] ?? '')}, not "Success"`)
  }
  const converted = isList(convertedObjects) ? convertedObjects : []
  const { length } = review.request.objects
  if (converted.length !== length) throw failed(`returned ${converted.length} objects, expected ${length}`)
  return converted
}

function checked(
  before: KubeObject,
  given: Json | undefined,
  apiVersion: string,
  i: number,
  failed: Fault,
): KubeObject {
  const invalid = (why: string) => failed(`returned invalid converted object at index ${i}: ${why}`)
  if (!isObject(given) || !isObject(given['metadata'])) throw invalid('invalid metadata of type <nil> in input object')
  if (given['apiVersion'] !== apiVersion) {
    throw invalid(`invalid groupVersion (expected ${apiVersion}, received ${String(given['apiVersion'] ?? '')})`)
  }
  if (given['kind'] !== before.kind) {
    throw invalid(`invalid kind (expected ${before.kind}, received ${String(given['kind'] ?? '')})`)
  }
  const { metadata } = given
  for (const name of ['name', 'namespace', 'uid'] as const) {
    const [was, is] = [before.metadata[name] ?? '', metadata[name] ?? '']
    if (was !== is) throw invalid(`metadata.${name} must be ${JSON.stringify(was)}, not ${JSON.stringify(is)}`)
  }
  return { ...given, metadata: { ...before.metadata, ...changeable(metadata, invalid) } } as unknown as KubeObject
}

/** Labels and annotations as the webhook gave them. */
function changeable(metadata: JsonObject, invalid: Fault): { readonly labels?: Json; readonly annotations?: Json } {
  const texts = (name: 'labels' | 'annotations') => {
    const value = metadata[name] ?? undefined
    const isSound =
      value === undefined || (isObject(value) && Object.values(value).every(one => typeof one === 'string'))
    if (!isSound) throw invalid(`metadata.${name} must be a map of texts`)
    return { [name]: value }
  }
  return { ...texts('labels'), ...texts('annotations') }
}
