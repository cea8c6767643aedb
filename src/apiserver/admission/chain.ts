// The plugins in the order in which they are asked, which is upstream's. Adding one is a file beside this and a line here.
import type { Step } from './admission.ts'
import { priority } from './priority.ts'
import { serviceAccount } from './serviceaccount.ts'

export const chain: readonly Step[] = [{ plugin: serviceAccount }, { plugin: priority }]
