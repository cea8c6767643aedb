import type { HttpRequest, HttpResponse, Identity } from '../world/http.ts'
import type { MeshStream, PeerId } from '../world/network.ts'
import type { Limiter } from './limits.ts'
import type { ResourceRoute } from './route.ts'
import type { ReadContext } from './run-read.ts'
export type Kubelets = {
  peerOfNode(name: string): PeerId | undefined
  open(peer: PeerId, signal: AbortSignal): Promise<MeshStream>
}
export async function session(
  _c: ReadContext,
  _k: Kubelets,
  _a: ResourceRoute,
  _q: URLSearchParams,
  _r: HttpRequest,
  _l: Limiter,
  _i: Identity,
): Promise<HttpResponse | undefined> {
  return undefined
}
