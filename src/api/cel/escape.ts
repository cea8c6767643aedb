// Names of properties as expressions can write them: `foo-bar` is self.foo__dash__bar
// (apiserver/pkg/cel/escaping.go; https://kubernetes.io/docs/reference/using-api/cel/#escaping).

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)
const written: Readonly<Record<string, string>> = {
  '.': '__dot__',
  '-': '__dash__',
  '/': '__slash__',
  __: '__underscores__',
}
const read: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(written).map(([name, escaped]) => [escaped, name]),
)

/** undefined for a name that expressions cannot reach. */
export function escapeName(name: string): string | undefined {
  if (reserved.has(name)) return `__${name}__`
  if (!/^[A-Za-z_./-][A-Za-z0-9_./-]*$/.test(name)) return undefined
  return name.replace(/__|[./-]/g, part => written[part] ?? part)
}

/** The name that an expression means. A word that is reserved may be written as it is after a dot. */
export function unescapeName(escaped: string): string {
  if (!escaped.includes('__')) return escaped
  const word = /^__([a-z]+)__$/.exec(escaped)?.[1]
  if (word !== undefined && reserved.has(word)) return word
  return escaped.replace(/__(?:dot|dash|slash|underscores)__/g, part => read[part] ?? part)
}
