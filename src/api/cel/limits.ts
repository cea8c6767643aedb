// How much an expression may cost: one unit is about 50 ns upstream (apiserver/pkg/apis/cel/config.go, and
// apiextensions/validation for what is estimated before anything runs).

/** Of one evaluation. */
export const perCallLimit = 1_000_000
/** Of all rules on one write of a custom resource. */
export const ruleBudget = 10_000_000
/** Of all expressions of the policies that match one request, and of one webhook's match conditions. */
export const policyBudget = 10_000_000
export const matchConditionsBudget = 2_500_000
/** What one rule may cost at most, times how often its schema may occur. */
export const estimatedRuleCostMax = 10_000_000
/** The same of all rules of a definition together. */
export const estimatedDefinitionCostMax = 100_000_000
/** Bytes of what a messageExpression gives. */
export const messageBytesMax = 5 * 1_024

/** The largest request that estimates reckon with, in bytes. */
export const requestBytesMax = 3 * 1_024 * 1_024

/** How it is said that an estimate is over its limit; undefined when it is not. */
export function overBudget(what: string, cost: number, limit: number): string | undefined {
  if (cost <= limit) return undefined
  const factor = cost / limit
  const shown = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`
  return `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`
}
