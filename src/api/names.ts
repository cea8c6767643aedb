// The rules for names, labels and the like, with the sentences in which Kubernetes explains them.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/

/** Undefined when the text obeys the rule; else what is wrong with it. */
export type NameRule = (text: string) => string | undefined

const labelFormat = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const label1035Format = '[a-z]([-a-z0-9]*[a-z0-9])?'
const subdomainFormat = `${labelFormat}(\\.${labelFormat})*`
const qualifiedFormat = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'

const whole = (format: string) => new RegExp(`^(?:${format})$`)
const [labelPattern, label1035Pattern, subdomainPattern, qualifiedPattern] = [
  whole(labelFormat),
  whole(label1035Format),
  whole(subdomainFormat),
  whole(qualifiedFormat),
]

function regexSentence(sentence: string, format: string, ...examples: readonly string[]): string {
  const list = examples.map(example => `'${example}'`).join(',  or ')
  return `${sentence} (e.g. ${list}, regex used for validation is '${format}')`
}

function lengthSentence(lengthMax: number): string {
  return `must be no more than ${lengthMax} bytes`
}

export const dnsLabel: NameRule = text =>
  text.length > 63
    ? lengthSentence(63)
    : labelPattern.test(text)
      ? undefined
      : regexSentence(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
          labelFormat,
          'my-name',
          '123-abc',
        )

/** Services: their names are environment variables and DNS labels of old, which start with a letter. */
export const dns1035Label: NameRule = text =>
  text.length > 63
    ? lengthSentence(63)
    : label1035Pattern.test(text)
      ? undefined
      : regexSentence(
          "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
          label1035Format,
          'my-name',
          'abc-123',
        )

export const dnsSubdomain: NameRule = text =>
  text.length > 253
    ? lengthSentence(253)
    : subdomainPattern.test(text)
      ? undefined
      : regexSentence(
          "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
          subdomainFormat,
          'example.com',
        )

const nameSentence = regexSentence(
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualifiedFormat,
  'MyName',
  'my.name',
  '123-abc',
)

export const qualifiedName: NameRule = text => {
  const parts = text.split('/')
  const [first = '', second] = parts
  if (parts.length > 2) {
    return `a qualified name ${nameSentence.replace('name part ', '')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`
  }
  const name = second ?? first
  if (second !== undefined) {
    if (first === '') return 'prefix part must be non-empty'
    const wrong = dnsSubdomain(first)
    if (wrong !== undefined) return `prefix part ${wrong}`
  }
  if (name === '') return 'name part must be non-empty'
  if (name.length > 63) return `name part ${lengthSentence(63)}`
  return qualifiedPattern.test(name) ? undefined : nameSentence
}

export const labelValue: NameRule = text =>
  text.length > 63
    ? lengthSentence(63)
    : text === '' || qualifiedPattern.test(text)
      ? undefined
      : regexSentence(
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
          `(${qualifiedFormat})?`,
          'MyValue',
          'my_value',
          '12345',
        )

const configKeyFormat = '[-._a-zA-Z0-9]+'
/** A key of a ConfigMap or Secret: it becomes a file's name. */
export const configKey: NameRule = text =>
  text.length > 253
    ? lengthSentence(253)
    : !/^[-._a-zA-Z0-9]+$/.test(text)
      ? regexSentence(
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
          configKeyFormat,
          'key.name',
          'KEY_NAME',
          'key-name',
        )
      : text === '.'
        ? "must not be '.'"
        : text === '..'
          ? "must not be '..'"
          : text.startsWith('..')
            ? "must not start with '..'"
            : undefined

/** Since 1.34 any printable ASCII character but '=' (RelaxedEnvironmentVariableValidation, on by default in 1.32). */
export const environmentName: NameRule = text =>
  /^[ -<>-~]+$/.test(text)
    ? undefined
    : "a valid environment variable name must consist only of printable ASCII characters other than '='"

export const portName: NameRule = text =>
  text.length > 15
    ? 'must be no more than 15 characters'
    : !/^[-a-z0-9]+$/.test(text)
      ? 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)'
      : !/[a-z]/.test(text)
        ? 'must contain at least one letter (a-z)'
        : text.includes('--')
          ? 'must not contain consecutive hyphens'
          : /^-|-$/.test(text)
            ? 'must not begin or end with a hyphen'
            : undefined

export function portNumber(port: number): string | undefined {
  return port >= 1 && port <= 65_535 ? undefined : 'must be between 1 and 65535, inclusive'
}

/** Names of roles and bindings may hold a colon: all that they may not be is something else in a path. */
export const pathSegment: NameRule = text => {
  if (text === '.' || text === '..') return `may not be '${text}'`
  const found = ['/', '%'].find(char => text.includes(char))
  return found === undefined ? undefined : `may not contain '${found}'`
}
