// What comes again and again is made once. All pods of one template have one spec, and whoever reports how an object is
// sends what it is to be along: of the same text there is one value here, and what is made of that value (its checked
// form, its defaults, its faults, its owners' fields, its JSON) is made once too, for as long as the value is remembered.
// Results do not depend on it; only values that nobody changes may be kept, and pure functions derived.
// Plain caching by content: https://en.wikipedia.org/wiki/Hash_consing

const kept = new WeakSet<object>()

/**
 * What texts have come lately, in two generations, so that what is used stays and what is not goes, without a list of uses.
 * Undefined: it came once. To keep what comes no more costs more than to make it.
 */
type Generation = Map<string, object | undefined>
const generationLengthMax = 1024 * 1024
let young: Generation = new Map()
let old: Generation = new Map()
let youngLength = 0

/** Below it looking up costs as much as making; above it few things come twice. In characters. */
const textLengthMin = 64
const textLengthMax = 32 * 1024

/**
 * The value of this text: one that is kept, or what `make` gives, which is kept when the text has come before; undefined is
 * not. Two texts never share one. `make` must be pure, and always the same.
 */
export function keep<T extends object>(text: string, make: (text: string) => T | undefined): T | undefined {
  if (text.length < textLengthMin || text.length > textLengthMax) return make(text)
  const known = young.get(text) ?? old.get(text)
  if (known !== undefined) {
    if (!young.has(text)) remember(text, known)
    return known as T
  }
  const value = make(text)
  if (!young.has(text) && !old.has(text)) {
    remember(text, undefined)
    return value
  }
  // A slice of a longer text would hold on to all of that.
  const own = Buffer.from(text, 'utf8').toString('utf8')
  // Not so with a lone surrogate, which is another character now.
  if (value === undefined || own !== text) return value
  kept.add(value)
  young.delete(text)
  remember(own, value)
  return value
}

function remember(text: string, value: object | undefined): void {
  young.set(text, value)
  youngLength += text.length
  if (youngLength < generationLengthMax) return
  old = young
  young = new Map()
  youngLength = 0
}

/** What was made of `source` is kept as that is: more is made of it in its turn. */
export function keptWith<T extends object>(source: object, made: T): T {
  if (kept.has(source)) kept.add(made)
  return made
}

export function isKept(value: unknown): value is object {
  return typeof value === 'object' && value !== null && kept.has(value)
}

/** One step that is made of kept values once. `K` is what it depends on besides: few values, told apart by identity. */
export class Derivation<K, B> {
  readonly #known = new WeakMap<object, Map<K, B>>()

  of(value: unknown, how: K, make: () => B): B {
    if (!isKept(value)) return make()
    const known = this.#known.get(value)
    const before = known?.get(how)
    if (before !== undefined) return before
    const made = make()
    if (known === undefined) this.#known.set(value, new Map([[how, made]]))
    else if (known.size < howCountMax) known.set(how, made)
    return made
  }
}

const howCountMax = 16

/** The same where a kept value comes out: more is made of it in its turn. */
export class KeptDerivation<K, B extends object> extends Derivation<K, B> {
  override of(value: unknown, how: K, make: () => B): B {
    return isKept(value) ? super.of(value, how, () => keptWith(value, make())) : make()
  }
}
