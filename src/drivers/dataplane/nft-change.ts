// The text for `nft -f -` that makes the kernel's table equal to a rendered one: whole, or only what differs. Pure.
// One text is one transaction: a packet sees the table before or after it, never between.
import { flatNames, flatTypes, type Rendered } from './nft-render.ts'

/** Elements per command: keeps lines short enough to be read in an error message. */
const elementsPerCommand = 500

function* elements(verb: 'add' | 'delete', table: string, name: string, items: readonly string[]): Generator<string> {
  for (let at = 0; at < items.length; at += elementsPerCommand)
    yield `${verb} element ip ${table} ${name} { ${items.slice(at, at + elementsPerCommand).join(', ')} }`
}

const element = ([key, value]: readonly [string, string]) => (value === '' ? key : `${key} : ${value}`)

const affinitySet = (name: string, seconds: number) =>
  `set ${name} { type ipv4_addr; flags dynamic,timeout; timeout ${seconds}s; size 65535; }`

/** Replaces the table. `clients`: what the sets of affinity held until now, as `nft list` showed it. */
export function replacement(table: string, wanted: Rendered, clients: ReadonlyMap<string, readonly string[]>): string {
  const lines = [`table ip ${table}`, `delete table ip ${table}`, `table ip ${table} {`]
  for (const name of flatNames) {
    const type = flatTypes[name]
    lines.push(`  ${type.includes(' : ') ? 'map' : 'set'} ${name} { type ${type}; }`)
  }
  for (const [name, seconds] of wanted.affinitySets) lines.push(`  ${affinitySet(name, seconds)}`)
  lines.push(wanted.frame, '}')
  for (const name of wanted.chains.keys()) lines.push(`add chain ip ${table} ${name}`)
  for (const [name, rules] of wanted.chains)
    for (const rule of rules) lines.push(`add rule ip ${table} ${name} ${rule}`)
  for (const name of flatNames) lines.push(...elements('add', table, name, [...wanted.flat[name]].map(element)))
  for (const name of wanted.affinitySets.keys()) lines.push(...elements('add', table, name, clients.get(name) ?? []))
  return `${lines.join('\n')}\n`
}

export type Change =
  | { readonly kind: 'none' }
  | { readonly kind: 'replace' }
  /** `held` is what the kernel has after it: the wanted table, and pickers that nobody needs at present. */
  | { readonly kind: 'edit'; readonly text: string; readonly held: Rendered }

/** What leads from `held` to `wanted`. A replacement when the frame differs or when most of a big table does. */
export function change(table: string, held: Rendered, wanted: Rendered): Change {
  if (held.frame !== wanted.frame) return { kind: 'replace' }
  const removed: string[] = []
  const added: string[] = []
  let touched = 0
  let size = 0
  for (const name of flatNames) {
    const before = held.flat[name]
    const after = wanted.flat[name]
    const gone = [...before].filter(([key, value]) => after.get(key) !== value).map(([key]) => key)
    const fresh = [...after].filter(([key, value]) => before.get(key) !== value).map(element)
    removed.push(...elements('delete', table, name, gone))
    added.push(...elements('add', table, name, fresh))
    touched += gone.length + fresh.length
    size += after.size
  }
  if (touched > 1_000 && touched > size / 2) return { kind: 'replace' }

  const sets = [...wanted.affinitySets].filter(([name]) => !held.affinitySets.has(name))
  const staleSets = [...held.affinitySets.keys()].filter(name => !wanted.affinitySets.has(name))
  // Names of chains are hashes of what they hold, or say it, so a chain of the same name has the same rules.
  const fresh = [...wanted.chains].filter(([name]) => !held.chains.has(name))
  const stale = [...held.chains.keys()].filter(name => name.includes('-') && !wanted.chains.has(name))
  const text = [
    ...sets.map(([name, seconds]) => `add ${affinitySet(name, seconds).replace('set ', `set ip ${table} `)}`),
    ...fresh.map(([name]) => `add chain ip ${table} ${name}`),
    ...fresh.flatMap(([name, rules]) => rules.map(rule => `add rule ip ${table} ${name} ${rule}`)),
    ...removed,
    ...added,
    ...stale.map(name => `flush chain ip ${table} ${name}`),
    ...stale.map(name => `delete chain ip ${table} ${name}`),
    ...staleSets.map(name => `delete set ip ${table} ${name}`),
  ]
  if (text.length === 0) return { kind: 'none' }
  const chains = new Map([...held.chains, ...wanted.chains].filter(([name]) => !stale.includes(name)))
  return { kind: 'edit', text: `${text.join('\n')}\n`, held: { ...wanted, chains } }
}
