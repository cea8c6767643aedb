// A proxy on one member's host for all that it sends to the others: every chunk is held back for a while, in order, and no
// more than so many bytes pass in a second; the same on the way back. network-faults.ts starts it:
//   node test/nemesis/link.ts <index> <delayMs> <jitterMs> <bytesPerSecond>
// It prints "ready", and for each line on its standard input how many bytes it has passed on.
import { connect, createServer, type Socket } from 'node:net'
import { addressOf, peerPort } from './lab.ts'
import { memberCount } from './systems.ts'

/** Its own connections come from these ports, which no rule redirects. */
export const sourcePorts = { first: 20_000, last: 27_999 }
/** Where what is meant for the member is redirected to. */
export const linkPortOf = (to: number) => 19_000 + to

const waitingBytesMax = 8 * 1024 * 1024

if (import.meta.main) serve(process.argv.slice(2).map(Number))

function serve([index = 0, delayMs = 0, jitterMs = 0, bytesPerSecond = 0]: readonly number[]): void {
  let passed = 0
  let sourcePort = sourcePorts.first
  const nextSourcePort = () => {
    sourcePort = sourcePort === sourcePorts.last ? sourcePorts.first : sourcePort + 1
    return sourcePort
  }
  const hold = (from: Socket, to: Socket) => {
    // A queue, since timers that are due together may fire in any order.
    const queue: { chunk: Buffer; dueMs: number }[] = []
    let lastMs = 0
    let waiting = 0
    const pass = () => {
      for (let head = queue[0]; head !== undefined && head.dueMs <= performance.now() + 0.5; head = queue[0]) {
        queue.shift()
        waiting -= head.chunk.length
        passed += head.chunk.length
        if (!to.destroyed) to.write(head.chunk)
      }
      if (waiting < waitingBytesMax / 2) from.resume()
      if (queue[0] !== undefined) setTimeout(pass, Math.max(0, queue[0].dueMs - performance.now()))
    }
    from.on('data', (chunk: Buffer) => {
      waiting += chunk.length
      if (waiting > waitingBytesMax) from.pause()
      const jitter = (Math.random() * 2 - 1) * jitterMs
      const transferMs = (chunk.length / bytesPerSecond) * 1000
      lastMs = Math.max(performance.now() + delayMs + jitter, lastMs + transferMs)
      queue.push({ chunk, dueMs: lastMs })
      if (queue.length === 1) setTimeout(pass, Math.max(0, lastMs - performance.now()))
    })
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
  }
  let listening = 0
  for (let to = 0; to < memberCount; to++) {
    if (to === index) continue
    const server = createServer({ noDelay: true }, near => {
      const far = connect({ host: addressOf(to), port: peerPort, localPort: nextSourcePort(), noDelay: true })
      hold(near, far)
      hold(far, near)
    })
    server.listen(linkPortOf(to), () => {
      listening++
      if (listening === memberCount - 1) console.log('ready')
    })
  }
  process.stdin.on('data', () => console.log(passed))
  process.stdin.on('end', () => process.exit(0))
}
