// What a refused proposal tells its caller: whether to ask another peer, to try again, or to leave it.
import { StoreError } from '../kv/store.ts'
import type { Refusal } from '../raft/types.ts'

export function refusalError(why: Exclude<Refusal, 'not-leader'>): StoreError {
  switch (why) {
    case 'last-voter':
      return new StoreError('refused', 'the last voter that may lead cannot go')
    case 'no-quorum':
      return new StoreError(
        'unavailable',
        'without that member no majority of the voters answers: bring another voter back, or add one, before it goes',
      )
    case 'unknown-member':
      return new StoreError('refused', 'there is no such member')
    case 'removed':
      return new StoreError('refused', 'the member was removed and its ID is never used again; add the peer anew')
    case 'not-caught-up':
      return new StoreError('refused', 'the member does not keep up with the log yet; ask again when it is nearer')
    case 'already-member':
      return new StoreError('refused', 'it is so already')
    case 'change-in-flight':
      return new StoreError('unavailable', 'another change of membership is not committed yet')
    case 'no-entry-of-term':
      return new StoreError('unavailable', 'the leader is new and has not committed anything yet')
    case 'overloaded':
      return new StoreError('unavailable', 'too much is proposed and not committed yet')
    case 'witness':
      return new StoreError('refused', 'that member is a witness: it votes and never leads')
    case 'not-a-voter':
      return new StoreError('refused', 'that member has no vote, so it cannot lead')
    case 'unreachable':
      return new StoreError('unavailable', 'that member does not answer')
    case 'no-successor':
      return new StoreError('unavailable', 'no other voter that may lead answers')
    case 'timed-out':
      return new StoreError('unavailable', 'the successor was asked to take over and did not')
    case 'transferring':
      return new StoreError('unavailable', 'leadership is being handed over')
  }
}
