// A browser adds the certificate of its user to whatever request a page makes, also a page of somebody else. Such a page
// reads no answer (nothing here allows another origin), but it must not change anything either, nor open a WebSocket, which
// no rule of browsers keeps from it. The browser tells where the page is from, and no page can make it tell otherwise. A
// token is no such danger: a page must have it to send it. Pure.
// https://www.w3.org/TR/fetch-metadata/, RFC 6455 section 10.2
import { ApiError } from '../api/error.ts'
import type { HttpRequest } from '../world/http.ts'

/** What Go's WebSocket library says where its caller says nothing; no page of a browser has it but this machine's own. */
const libraryOrigin = 'http://localhost'

/** Throws Forbidden. Programs that are no browser say neither where a page is from nor its origin, and pass. */
export function checkSite({ method, headers, upgrade, certificate }: HttpRequest): void {
  if (certificate === undefined) return
  if (upgrade === undefined && (method === 'GET' || method === 'HEAD')) return
  const site = headers['sec-fetch-site']
  if (site === 'same-origin' || site === 'none') return
  const origin = headers['origin']
  const isOwn = origin === undefined || origin === `https://${headers['host'] ?? ''}` || origin === libraryOrigin
  if (site === undefined && isOwn) return
  throw new ApiError('Forbidden', 'a page of another site may not speak for who has a certificate here')
}
