// The leader signs certificate requests with the cluster's authority, and approves those of nodes for themselves. What is
// right controllers/signers.ts says; the key is here, drivers/pki.ts signs.
import {
  type CertificateSigningRequest,
  certificateSigningRequest as requestKind,
} from '../api/kinds/certificatesigningrequest.ts'
import type { Json } from '../api/schema.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { level } from '../client/run-level.ts'
import {
  approvedBy,
  dueOf,
  failed,
  lifeMsOf,
  type NodeRight,
  refusal,
  rightsFor,
  withCondition,
} from '../controllers/signers.ts'
import { type Authority, type CertifiedUse, readRequest, signRequest } from '../drivers/pki.ts'
import { derOf, pemBlocks } from '../lib/pem.ts'
import type { Identity } from '../world/http.ts'
import type { World } from '../world/world.ts'

export type SignerParts = {
  readonly world: Pick<World, 'clock' | 'log'>
  readonly client: Client
  readonly authority: Authority
  /** Whether somebody may create certificatesigningrequests/<right>. */
  may(identity: Identity, right: NodeRight): Promise<boolean>
}

const timing = { gatherMs: 20, resyncMs: 600_000, retryMs: 500, retryMsMax: 30_000 }

/** Returns when the signal aborts. */
export async function runSigner(parts: SignerParts, signal: AbortSignal): Promise<void> {
  const { world, client } = parts
  const requests = follow(world, client, requestKind, {}, {}, signal)
  const loop = level(world.clock, timing)
  using _ = requests.onChange(() => loop.poke())
  await loop.run(
    async () => {
      await requests.synced
      const wrong: unknown[] = []
      for (const request of requests.view.list()) {
        // One that cannot be served keeps nobody else waiting.
        await serve(parts, request, signal).catch(error => wrong.push(error))
      }
      if (wrong.length > 0) throw new AggregateError(wrong, wrong.map(String).join('; '))
    },
    (error, retryMs) => world.log.warn('certificate requests wait', { error: String(error), retryMs }),
    signal,
  )
  await requests.done
}

async function serve(parts: SignerParts, request: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
  const due = dueOf(request)
  if (due === 'nothing') return
  if (due === 'approval') await approve(parts, request, signal)
  else await sign(parts, request, signal)
}

/** The request is in the first block; anything may stand around it. */
async function read({ spec }: CertificateSigningRequest) {
  const [first] = pemBlocks(Buffer.from(spec.request, 'base64').toString('latin1'))
  const der = first && derOf(first)
  const asked = der && (await readRequest(der))
  return der && asked && { der, asked }
}

async function approve(parts: SignerParts, request: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
  const found = await read(request)
  if (found === undefined) return
  const { username = '', groups = [], uid, extra } = request.spec
  const identity = { user: username, groups, ...(uid !== undefined && { uid }), ...(extra && { extra }) }
  for (const right of rightsFor(request, found.asked)) {
    if (!(await parts.may(identity, right))) continue
    const { name, resourceVersion } = request.metadata
    const { conditions = [] } = withCondition(request, approvedBy(right)).status
    const body = { metadata: { resourceVersion }, status: { conditions } } as unknown as Json
    await parts.client.patch(requestKind, { name }, { type: 'merge', body, subresource: 'approval' }, signal)
    parts.world.log.info('a certificate request of a node is approved', { name, by: right })
    return
  }
}

async function sign(parts: SignerParts, request: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
  const { world, client, authority } = parts
  const { name } = request.metadata
  const refuse = async (why: string) => {
    await client.updateStatus(requestKind, withCondition(request, failed(why)), signal)
    world.log.info('a certificate request is not signed', { name, why })
  }
  const found = await read(request)
  if (found === undefined) return refuse('the request cannot be read')
  const why = refusal(request, found.asked)
  if (why !== undefined) return refuse(why)
  const uses = (request.spec.usages ?? []) as readonly CertifiedUse[]
  const certificate = await signRequest(authority, found.der, uses, lifeMsOf(request), world.clock.nowMs())
  const status = { ...request.status, certificate: Buffer.from(certificate).toString('base64') }
  await client.updateStatus(requestKind, { ...request, status }, signal)
  world.log.info('a certificate request is signed', { name, signer: request.spec.signerName, for: found.asked.user })
}
