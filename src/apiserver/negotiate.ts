// What form of an answer the client takes, and what form its body has. Pure.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-representations

export type Media = 'json' | 'yaml' | 'protobuf'
export type Answers =
  | { readonly as: 'Object'; readonly media: Media }
  | { readonly as: 'Table'; readonly version: 'v1' | 'v1beta1'; readonly media: 'json' | 'yaml' }
  | {
      readonly as: 'PartialObjectMetadata' | 'PartialObjectMetadataList'
      readonly version: 'v1' | 'v1beta1'
      readonly media: Media
    }

/** What can be made of that which is asked for. */
export type Offers = {
  /** Its kind has a form in protobuf; its metadata alone always has. */
  readonly protobuf: boolean
  readonly table: boolean
  /** A watch: YAML has no frames. */
  readonly stream: boolean
}

export type MediaType = { readonly type: string; readonly parameters: Readonly<Record<string, string>> }

/** The clauses of an Accept header, the wanted ones first (by q, then by order). */
export function parseAccept(header: string | undefined): readonly MediaType[] {
  if (header === undefined || header.trim() === '') return [{ type: '*/*', parameters: {} }]
  return header
    .slice(0, 4_096)
    .split(',')
    .map(parseMediaType)
    .map((media, order) => ({ media, order, q: quality(media.parameters['q']) }))
    .filter(({ q, media }) => q > 0 && media.type !== '')
    .sort((a, b) => b.q - a.q || a.order - b.order)
    .map(({ media }) => media)
}

function quality(text: string | undefined): number {
  const q = Number(text ?? '1')
  return q >= 0 && q <= 1 ? q : 1
}

export function parseMediaType(text: string): MediaType {
  const [type = '', ...rest] = text.split(';')
  const parameters: Record<string, string> = Object.create(null) as Record<string, string>
  for (const parameter of rest) {
    const at = parameter.indexOf('=')
    if (at > 0) parameters[parameter.slice(0, at).trim().toLowerCase()] = parameter.slice(at + 1).trim()
  }
  return { type: type.trim().toLowerCase(), parameters }
}

const mediaTypes: readonly (readonly [Media, string])[] = [
  ['json', 'application/json'],
  ['yaml', 'application/yaml'],
  ['protobuf', 'application/vnd.kubernetes.protobuf'],
]

/** Of an Answers.media; a watch in protobuf says so. */
export function contentTypeOf(media: Media, stream: boolean): string {
  const type = mediaTypes.find(([one]) => one === media)?.[1] ?? ''
  return stream && media !== 'json' ? `${type};stream=watch` : type
}

/** The list that a refusal (406) names. */
export function acceptable({ protobuf, stream }: Offers): string {
  return mediaTypes
    .filter(([media]) => (media === 'protobuf' ? protobuf : media === 'json' || !stream))
    .map(([, type]) => (stream ? `${type};stream=watch` : type))
    .join(', ')
}

function matches(type: string, media: string): boolean {
  return (
    type === '*/*' || type === 'application/*' || type === media || (type === 'text/yaml' && media.endsWith('/yaml'))
  )
}

const negotiated = new Map<string, Answers | undefined>()
const negotiatedMax = 256
const rememberedLengthMax = 1_024

/** undefined: nothing that we can make is accepted (406). What clients say is mostly what others have said before. */
export function negotiate(header = '', offers: Offers): Answers | undefined {
  const key = `${offers.protobuf}${offers.table}${offers.stream}${header}`
  const known = negotiated.get(key)
  if (known !== undefined || negotiated.has(key)) return known
  const answers = choose(header, offers)
  if (key.length > rememberedLengthMax) return answers
  if (negotiated.size >= negotiatedMax) negotiated.clear()
  negotiated.set(key, answers)
  return answers
}

function choose(header: string, offers: Offers): Answers | undefined {
  for (const { type, parameters } of parseAccept(header)) {
    const { as, stream, g, v } = parameters
    if (stream !== undefined && stream !== '' && (stream !== 'watch' || !offers.stream)) continue
    for (const [media, name] of mediaTypes) {
      if (!matches(type, name) || (offers.stream && media === 'yaml')) continue
      if (as === undefined) {
        if (media === 'protobuf' && !offers.protobuf) continue
        return { as: 'Object', media }
      }
      if (g !== 'meta.k8s.io' || (v !== 'v1' && v !== 'v1beta1')) continue
      if (as === 'Table' && offers.table && media !== 'protobuf') return { as, version: v, media }
      if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { as, version: v, media }
    }
  }
  return undefined
}

/** `form`: how /api and /apis tell all at once; elsewhere there is only the plain one. */
export type DiscoveryAnswers = { readonly form: 'v2' | 'v2beta1' | 'plain'; readonly media: Media }

/** Which form of discovery the client takes: the first that it offers and that we have; undefined: none (406). */
export function negotiateDiscovery(header: string | undefined, aggregates: boolean): DiscoveryAnswers | undefined {
  for (const { type, parameters } of parseAccept(header)) {
    const media = mediaTypes.find(([, name]) => matches(type, name))?.[0]
    if (media === undefined) continue
    const { as, g, v } = parameters
    if (as === undefined) return { form: 'plain', media }
    if (!aggregates || as !== 'APIGroupDiscoveryList' || g !== 'apidiscovery.k8s.io') continue
    if (v === 'v2' || v === 'v2beta1') return { form: v, media }
  }
  return undefined
}

export type BodyForm =
  | { readonly form: 'json' | 'yaml' | 'protobuf' }
  | { readonly form: 'json' | 'yaml'; readonly patch: 'json' | 'merge' | 'strategic' | 'apply' }

/** undefined: we do not read that (415). An absent header means JSON. */
export function bodyForm(contentType: string | undefined): BodyForm | undefined {
  switch (parseMediaType(contentType ?? '').type) {
    case '':
    case 'application/json':
      return { form: 'json' }
    case 'application/yaml':
    case 'text/yaml':
      return { form: 'yaml' }
    case 'application/vnd.kubernetes.protobuf':
      return { form: 'protobuf' }
    case 'application/json-patch+json':
      return { form: 'json', patch: 'json' }
    case 'application/merge-patch+json':
      return { form: 'json', patch: 'merge' }
    case 'application/strategic-merge-patch+json':
      return { form: 'json', patch: 'strategic' }
    case 'application/apply-patch+yaml':
      return { form: 'yaml', patch: 'apply' }
    default:
      return undefined
  }
}
