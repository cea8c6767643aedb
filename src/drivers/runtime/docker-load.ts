// Loads an image into Docker without opening a whole runtime. Used by `flotilla demo`, which brings its own image.
import type { Bytes } from '../../lib/bytes.ts'
import type { RuntimeWorld } from './common.ts'
import { connectDocker } from './docker-api.ts'
import { dockerImages } from './docker-images.ts'

const answerTimeoutMs = 2_000
const loadTimeoutMs = 60_000

/** True when the image is there afterwards; false when no daemon answers. `archive` is made only if it is needed. */
export async function loadDockerImage(
  world: RuntimeWorld,
  socketPath: string,
  name: string,
  archive: () => Promise<Bytes>,
  signal: AbortSignal,
): Promise<boolean> {
  using patience = world.clock.deadline(answerTimeoutMs, signal)
  const api = await connectDocker(socketPath, patience.signal).catch(() => undefined)
  if (api === undefined) return false
  using deadline = world.clock.deadline(loadTimeoutMs, signal)
  const images = dockerImages(api)
  if ((await images.image(name, deadline.signal)) === undefined) await images.load(await archive(), deadline.signal)
  return true
}
