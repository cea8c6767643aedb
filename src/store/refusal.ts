// What a refused proposal tells its caller: whether to ask another peer, to try again, or to leave it.
import { StoreError } from '../kv/store.ts'
import type { Refusal } from '../raft/types.ts'

export function refusalError(why: Exclude<Refusal, 'not-leader'>): StoreError {
  switch (why) {
    case 'last-voter':
      return new StoreError('refused', 'the last voter cannot go')
    case 'unknown-member':
      return new StoreError('refused', 'there is no such member')
    case 'removed':
      return new StoreError('refused', 'the member was removed and its ID is never used again; add the peer anew')
    case 'not-caught-up':
      return new StoreError('refused', 'the member has not caught up with the log yet')
    case 'already-member':
      return new StoreError('refused', 'it is so already')
    case 'change-in-flight':
      return new StoreError('unavailable', 'another change of membership is not committed yet')
    case 'no-entry-of-term':
      return new StoreError('unavailable', 'the leader is new and has not committed anything yet')
    case 'overloaded':
      return new StoreError('unavailable', 'too much is proposed and not committed yet')
    case 'transferring':
      return new StoreError('unavailable', 'leadership is being handed over')
  }
}
