// Our own annotations and labels on Kubernetes objects, in one place because several components meet at them.

/** On a Node: the libp2p peer ID of its machine. The list of Nodes is the admission list. */
export const peerAnnotation = 'flotilla.dev/peer'
/** On a Node: multiaddrs where its peer may be dialled, separated by commas. Hints: identity is the key. */
export const addressesAnnotation = 'flotilla.dev/addresses'
/** On a Node: host:port of its API server, as pods reach it. */
export const apiAnnotation = 'flotilla.dev/api'
/** On a Node: its peer votes, never leads, and runs no pods. */
export const witnessAnnotation = 'flotilla.dev/witness'
/** On a Node: its peer wants to leave the cluster. */
export const leavingAnnotation = 'flotilla.dev/leaving'
