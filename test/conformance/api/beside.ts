// An API server in memory with controllers beside it, for what the suite asks of both.
import type { Controller } from '../../../src/controllers/controller.ts'
import type { Inputs } from '../../../src/controllers/inputs.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'
import { type Api, ask } from './wire.ts'

/** For what controllers do in their own time. */
export const patience = { timeout: 20_000 }

export type Beside = AsyncDisposable & { readonly api: Api }

export async function beside(controllers: readonly Controller[], more: Partial<Inputs> = {}): Promise<Beside> {
  const api = await testApiserver()
  const running = runControllers(api.world, api.client, inputs(more), controllers, api.signal)
  return {
    api,
    async [Symbol.asyncDispose]() {
      api.stop()
      await running
    },
  }
}

/** Who controls a pod: the uid, undefined for nobody. */
export const ownerOf = async (api: Api, pod: string) => {
  const { metadata } = (await ask(api, `/api/v1/namespaces/default/pods/${pod}`)).body
  const { ownerReferences = [] } = metadata as { ownerReferences?: readonly { uid: string; controller?: boolean }[] }
  return ownerReferences.find(({ controller }) => controller === true)?.uid
}
