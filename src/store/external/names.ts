// Where the cluster keeps what in an etcd that others may use too. All of it is one range of keys:
// `<prefix>/…` are the store's keys, which begin with '/'; `<prefix>.leader` is who leads, `<prefix>.peer/<peer>` who is
// there, `<prefix>.done/<id>` which writes have happened a short while ago.
import { StoreError } from '../../kv/store.ts'
import { isPacked } from '../../lib/packed.ts'

export type Names = {
  readonly prefix: string
  /** All of the cluster: from the first included to the last excluded. '.', '/' and '0' follow each other. */
  readonly from: string
  readonly to: string
  readonly leader: string
  readonly peers: string
}

/** Throws when the prefix is none: ASCII, begins with '/', does not end with it, has no dot. */
export function namesOf(prefix: string): Names {
  if (!/^(?:\/[!--0-~]+)+$/.test(prefix)) {
    throw new Error(`not a prefix for keys in etcd: '${prefix}'; it looks like /flotilla, without a dot`)
  }
  return { prefix, from: `${prefix}.`, to: `${prefix}0`, leader: `${prefix}.leader`, peers: `${prefix}.peer/` }
}

export function doneKey({ prefix }: Names, id: string): string {
  return `${prefix}.done/${id}`
}

/** How a key of the store is called in etcd. */
export function outerKey({ prefix }: Names, key: string): string {
  if (!key.startsWith('/') || !isPacked(key)) {
    throw new StoreError('refused', `a key in an external etcd begins with '/' and is bytes: ${JSON.stringify(key)}`)
  }
  return prefix + key
}

/** How a key of etcd is called in the store; undefined: it is none of the store's. */
export function innerKey({ prefix }: Names, key: string): string | undefined {
  return key.startsWith(prefix) && key[prefix.length] === '/' ? key.slice(prefix.length) : undefined
}
