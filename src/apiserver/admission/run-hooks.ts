// What is asked behind the plugins, because it may wait and has the last word: webhooks, policies, and the quota that counts
// what all others have let through.
import type { Step } from './admission.ts'
import { lastly } from './chain.ts'
import { type PolicyHooks, policyHook } from './run-policies.ts'
import { mutatingHook, validatingHook, type WebhookHooks } from './run-webhooks.ts'

export function lastSteps(context: WebhookHooks & PolicyHooks): readonly Step[] {
  return [{ hook: mutatingHook(context) }, { hook: policyHook(context) }, { hook: validatingHook(context) }, ...lastly]
}
