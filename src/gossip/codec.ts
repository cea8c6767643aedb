// Heartbeats as bytes. Decoding is total: what is not a well-formed heartbeat is undefined.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Bytes } from '../lib/bytes.ts'
import { HeartbeatSchema } from '../wire/gen/flotilla/v1/gossip_pb.ts'
import { wellFormed } from './accept.ts'
import type { Heartbeat } from './core.ts'

const knownCountMax = 1_024

export function encodeHeartbeat(heartbeat: Heartbeat): Bytes {
  const { incarnation, sequence, leaving, endpointsSequence, endpoints, known } = heartbeat
  return toBinary(
    HeartbeatSchema,
    create(HeartbeatSchema, {
      incarnation: BigInt(incarnation),
      sequence: BigInt(sequence),
      leaving,
      endpointsSequence: BigInt(endpointsSequence),
      full: endpoints !== undefined,
      endpoints: endpoints === undefined ? [] : endpoints.map(endpoint => ({ ...endpoint })),
      known: known.slice(0, knownCountMax).map(one => ({ ...one, incarnation: BigInt(one.incarnation) })),
    }),
  )
}

export function decodeHeartbeat(bytes: Bytes): Heartbeat | undefined {
  try {
    const read = fromBinary(HeartbeatSchema, bytes, { readUnknownFields: false })
    const [incarnation, sequence, endpointsSequence] = [read.incarnation, read.sequence, read.endpointsSequence].map(
      Number,
    )
    if (!isCount(incarnation) || !isCount(sequence) || !isCount(endpointsSequence) || incarnation === 0)
      return undefined
    return {
      incarnation,
      sequence,
      leaving: read.leaving,
      endpointsSequence,
      endpoints: read.full
        ? wellFormed(read.endpoints.map(({ uid, namespace, name, ip, ready }) => ({ uid, namespace, name, ip, ready })))
        : undefined,
      known: read.known
        .slice(0, knownCountMax)
        .map(({ peer, incarnation: theirs, left }) => ({ peer, incarnation: Number(theirs), left }))
        .filter(one => isCount(one.incarnation)),
    }
  } catch {
    // Not protobuf at all: from a peer of another version, or a hostile one.
    return undefined
  }
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0
}
