// What one client may cost. All of it is memory or work that a client can ask for before anybody knows what it wants.

/** Beyond a message of etcd's 1.5 MiB, what it leaves for the rest of a request (512 KiB). */
export const messageBytesMax = 2 * 1024 * 1024
/** A whole message fits, so a call with one message never waits for us to open its window. */
export const streamWindow = messageBytesMax + 64 * 1024
export const connectionWindow = 16 * 1024 * 1024
export const streamCountMax = 8_192
/** Calls whose client has gone and whose handlers have not answered yet, per connection. */
export const orphanCountMax = 16_384
export const headerListBytesMax = 16 * 1024
/** Of one compressed block, over all its frames. */
export const headerBlockBytesMax = 32 * 1024
export const continuationCountMax = 16
/** Parts of messages that are not whole yet, of one connection and of all. */
export const partialBytesMax = 32 * 1024 * 1024
export const partialBytesMaxOfAll = 256 * 1024 * 1024
/**
 * PING, SETTINGS, RST_STREAM, PRIORITY and frames without content cost the client nothing and us an answer or a handler. So
 * many more than messages were sent to it are too many; the count halves every ten seconds. (grpc-go pings about once per
 * message that it gets, to measure the link.)
 */
export const nuisanceCountMax = 10_000
export const nuisanceHalfLifeMs = 10_000
/** Of what we said and the client has not read. Above, no more is read from it, and streams are told to wait. */
export const backlogBytesMax = 4 * 1024 * 1024
/** A client that reads nothing for so long while something waits for it is cut off. */
export const stalledMsMax = 60_000
/** A connection that brought nothing for so long is asked whether it lives, and has so long to say so. */
export const silenceMs = 60_000
export const pingTimeoutMs = 20_000
export const connectionCountMax = 4_096
/** For TLS and the first frames. */
export const greetingTimeoutMs = 10_000
