// Named formats of strings: format.dns1123Label().validate(name) gives what is wrong, or none
// (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-format-library).
import { type Argument, type Library, method, overload } from '../../../lib/cel/env.ts'
import { fixed, plus, scaled } from '../../../lib/cel/estimates.ts'
import { list, opaque, optional, string } from '../../../lib/cel/types.ts'
import { ArrayList, Opaque, Optional } from '../../../lib/cel/values.ts'
import { formats as stringFormats } from '../../custom/formats.ts'
import { dns1035Label, dnsLabel, dnsSubdomain, labelValue, type NameRule, qualifiedName } from '../../names.ts'
import { parseUrl } from './url.ts'

const formatType = opaque('kubernetes.NamedFormat')

/** A prefix of names may end with what only a name may not. */
const prefix =
  (rule: NameRule): NameRule =>
  text =>
    rule(text.endsWith('-') ? `${text.slice(0, -1)}a` : text)

/** A format that custom resources have, too. */
const obeys =
  (name: string, otherwise: string): NameRule =>
  text =>
    stringFormats[name]?.(text) === true ? undefined : otherwise

const formats: Readonly<Record<string, NameRule>> = {
  dns1123Label: dnsLabel,
  dns1123Subdomain: dnsSubdomain,
  dns1035Label,
  qualifiedName,
  dns1123LabelPrefix: prefix(dnsLabel),
  dns1123SubdomainPrefix: prefix(dnsSubdomain),
  dns1035LabelPrefix: prefix(dns1035Label),
  labelValue,
  uri: text => {
    const parsed = parseUrl(text)
    return typeof parsed === 'string' ? parsed : undefined
  },
  uuid: obeys('uuid', 'does not match the UUID format'),
  byte: obeys('byte', 'invalid base64'),
  date: obeys('date', 'invalid date'),
  datetime: obeys('datetime', 'invalid datetime'),
}

class FormatValue extends Opaque {
  override readonly typeName = 'kubernetes.NamedFormat'
  readonly name: string
  constructor(name: string) {
    super()
    this.name = name
  }
  override equals(other: Opaque): boolean {
    return other instanceof FormatValue && other.name === this.name
  }
}

function validate({ name }: FormatValue, text: string): Optional {
  const wrong = formats[name]?.(text)
  return new Optional(wrong === undefined ? undefined : new ArrayList([wrong]))
}

const named = (name: string): Optional => new Optional(Object.hasOwn(formats, name) ? new FormatValue(name) : undefined)

/** The longest pattern of a format, in characters, stands for all of them. */
const patternCost = 15
const validation = {
  cost: (_format: unknown, text: unknown) => Math.ceil((1 + String(text).length) * 0.1) * patternCost,
  estimate: (_format: Argument, text: Argument) => ({
    cost: scaled(scaled(plus(text.size, fixed(1)), 0.1), patternCost),
  }),
}

export const formatLibrary: Library = {
  'format.named': [overload('format-named', [string], optional(formatType), named)],
  validate: [method('format-validate', [formatType, string], optional(list(string)), validate, validation)],
  ...Object.fromEntries(
    Object.keys(formats).map(name => [
      `format.${name}`,
      [overload(`format.${name}`, [], formatType, () => new FormatValue(name))],
    ]),
  ),
}
