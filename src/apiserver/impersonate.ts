// For whom a request is to be carried out, when its headers name somebody else, and which rights that takes: the verb
// impersonate on the user or service account, on each group, on the uid and on each value of each extra. Pure.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
import { ApiError } from '../api/error.ts'
import type { Identity } from '../world/http.ts'
import { type Attributes, anonymous, authenticated, unauthenticated } from './authorize.ts'

export type Impersonation = {
  readonly identity: Identity
  /** All of them must be allowed to whoever asks. */
  readonly needs: readonly Attributes[]
}

const prefix = 'impersonate-'
const extraPrefix = 'impersonate-extra-'

/** undefined: the request speaks for itself. `headers`: names in lower case, several of one name joined with ', '. */
export function impersonation(headers: Readonly<Record<string, string>>): Impersonation | undefined {
  const named: string[] = []
  for (const name in headers) if (name.startsWith(prefix)) named.push(name)
  if (named.length === 0) return undefined
  const user = headers['impersonate-user'] ?? ''
  if (user === '') {
    throw new ApiError('BadRequest', `requested [${named.toSorted().join(' ')}] without impersonating a user`)
  }
  const uid = headers['impersonate-uid'] ?? ''
  const asked = valuesOf(headers['impersonate-group'])
  const extra = extraOf(headers, named)
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user)
  const [, namespace = '', name = ''] = account ?? []
  const own = account ? ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] : []
  const groups = asked.length > 0 ? asked : own
  return {
    identity: {
      user,
      ...(uid !== '' && { uid }),
      groups: withOwnGroup(user, groups),
      ...(Object.keys(extra).length > 0 && { extra }),
    },
    needs: [
      account ? need({ resource: 'serviceaccounts', namespace, name }) : need({ resource: 'users', name: user }),
      ...asked.map(group => need({ resource: 'groups', name: group })),
      ...(uid === '' ? [] : [need({ group: authentication, resource: 'uids', name: uid })]),
      ...Object.entries(extra).flatMap(([key, values]) =>
        values.map(value => need({ group: authentication, resource: 'userextras', subresource: key, name: value })),
      ),
    ],
  }
}

const authentication = 'authentication.k8s.io'

type Place = { readonly resource: string; readonly name: string } & Partial<
  Record<'group' | 'subresource' | 'namespace', string>
>

function need(place: Place): Attributes {
  return { kind: 'resource', verb: 'impersonate', group: '', subresource: '', namespace: '', ...place }
}

/** Everybody is either known or not. */
function withOwnGroup(user: string, groups: readonly string[]): readonly string[] {
  const one = user === anonymous ? unauthenticated : authenticated
  const has = groups.includes(one) || groups.includes(unauthenticated)
  return [...new Set(has ? groups : [...groups, one])]
}

// A value that holds a comma is two values here: HTTP cannot tell them apart. Each must be allowed, so nothing is gained.
function valuesOf(header: string | undefined): readonly string[] {
  return [...new Set((header ?? '').split(',').map(value => value.trim()))].filter(value => value !== '')
}

function extraOf(
  headers: Readonly<Record<string, string>>,
  named: readonly string[],
): Readonly<Record<string, readonly string[]>> {
  const entries = named
    .filter(name => name.startsWith(extraPrefix))
    .map((name): [string, readonly string[]] => [decodedKey(name.slice(extraPrefix.length)), valuesOf(headers[name])])
  return Object.fromEntries(entries)
}

function decodedKey(text: string): string {
  try {
    return decodeURIComponent(text).toLowerCase()
  } catch (error) {
    throw new ApiError('BadRequest', `the header ${extraPrefix}${text} is not well encoded`, undefined, {
      cause: error,
    })
  }
}
