// All bugs that the simulator must find, by name, and where each is looked for.
import { coreBugs } from './bugs-core.ts'
import { storeBugs } from './bugs-store.ts'
import type { StoreBugs } from './cluster.ts'
import type { CoreFaults } from './core-node.ts'

export type Bug =
  | { readonly name: string; readonly where: 'core'; readonly core: CoreFaults }
  | { readonly name: string; readonly where: 'store'; readonly store: StoreBugs }

export const bugs: readonly Bug[] = [
  ...Object.entries(coreBugs).map(([name, core]) => ({ name, where: 'core', core }) as const),
  ...Object.entries(storeBugs).map(([name, store]) => ({ name, where: 'store', store }) as const),
]
