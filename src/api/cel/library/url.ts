// URLs: url('https://example.com:80/path').getHostname()
// (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-url-library). Parsed as Go's net/url does.
import { type Argument, type Library, method, type Overload, overload } from '../../../lib/cel/env.ts'
import { traversal, traversed } from '../../../lib/cel/estimates.ts'
import { bool, list, map, opaque, string, type Type } from '../../../lib/cel/types.ts'
import { ArrayList, EntryMap, Failure, Opaque, type Result, type Value } from '../../../lib/cel/values.ts'

type Parts = {
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly query: string
  readonly fragment: string
}

const urlType = opaque('kubernetes.URL')

class UrlValue extends Opaque {
  override readonly typeName = 'kubernetes.URL'
  readonly text: string
  readonly parts: Parts
  constructor(text: string, parts: Parts) {
    super()
    this.text = text
    this.parts = parts
  }
  override equals(other: Opaque): boolean {
    return other instanceof UrlValue && other.text === this.text
  }
}

/** An absolute URL or an absolute path; otherwise why it is none, in Go's words. */
export function parseUrl(text: string): Parts | string {
  const wrong = (why: string): string => `parse ${JSON.stringify(text)}: ${why}`
  if (/[\x00-\x1f\x7f]/.test(text)) return wrong('net/url: invalid control character in URL')
  if (text === '') return wrong('empty url')
  if (text.startsWith(':')) return wrong('missing protocol scheme')
  const [, scheme = '', rest = ''] = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(.*)$/s.exec(text) ?? []
  if (scheme === '' && !rest.startsWith('/')) return wrong('invalid URI for request')
  const [, before = '', fragment = ''] = /^([^#]*)#?(.*)$/s.exec(rest) ?? []
  const [, hierarchy = '', query = ''] = /^([^?]*)\??(.*)$/s.exec(before) ?? []
  const [, authority, path = ''] =
    scheme === '' ? ['', undefined, hierarchy] : (/^(?:\/\/([^/]*))?(.*)$/s.exec(hierarchy) ?? [])
  const badEscape = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(path)?.[0]
  if (badEscape !== undefined) return wrong(`invalid URL escape ${JSON.stringify(badEscape)}`)
  const host = (authority ?? '').slice((authority ?? '').lastIndexOf('@') + 1)
  const port = /^\[[^\]]*\](.*)$/.exec(host)?.[1] ?? /:.*$/.exec(host)?.[0] ?? ''
  if (host.startsWith('[') && !host.includes(']')) return wrong("missing ']' in host")
  if (!/^(?::\d*)?$/.test(port)) return wrong(`invalid port ${JSON.stringify(port)} after host`)
  const bad = /[ "<>\\^`{|}]/.exec(host)?.[0]
  if (bad !== undefined) return wrong(`invalid character ${JSON.stringify(bad)} in host name`)
  return { scheme: scheme.toLowerCase(), host, path, query, fragment }
}

function url(text: string): Result {
  const parts = parseUrl(text)
  if (typeof parts !== 'string') return new UrlValue(text, parts)
  return new Failure(`URL parse error during conversion from string: ${parts}`)
}

const hostname = ({ host }: Parts): string => /^\[([^\]]*)\]/.exec(host)?.[1] ?? host.replace(/:\d*$/, '')
const port = ({ host }: Parts): string => /:(\d*)$/.exec(host.replace(/^\[[^\]]*\]/, ''))?.[1] ?? ''

/** As Go writes it: what is escaped stays so, and what must be escaped is. */
const escapedPath = ({ path }: Parts): string =>
  path.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%[\]]/gu, char => encodeURIComponent(char))

function query({ query: text }: Parts): Result {
  const values = new Map<string, string[]>()
  for (const pair of text.split('&')) {
    if (pair === '' || pair.includes(';')) continue
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? []
    const [key, decoded] = [decodeQuery(name), decodeQuery(value)]
    if (key === undefined || decoded === undefined) continue
    values.set(key, [...(values.get(key) ?? []), decoded])
  }
  const made = new EntryMap()
  for (const [key, all] of values) made.insert(key, key, new ArrayList(all))
  return made
}

function decodeQuery(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return undefined
  }
}

const on = (id: string, result: Type, call: (parts: Parts) => Result): Overload =>
  method(id, [urlType], result, (value: UrlValue) => call(value.parts))

export const urlLibrary: Library = {
  url: [
    overload('string_to_url', [string], urlType, url, {
      cost: (text: Value) => traversal(text),
      estimate: (text: Argument) => ({ cost: traversed(text) }),
    }),
  ],
  isURL: [overload('is_url_string', [string], bool, (text: string) => typeof parseUrl(text) !== 'string')],
  getScheme: [on('url_get_scheme', string, parts => parts.scheme)],
  getHost: [on('url_get_host', string, parts => parts.host)],
  getHostname: [on('url_get_hostname', string, hostname)],
  getPort: [on('url_get_port', string, port)],
  getEscapedPath: [on('url_get_escaped_path', string, escapedPath)],
  getQuery: [on('url_get_query', map(string, list(string)), query)],
}
