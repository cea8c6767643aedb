// Ports for servers that are told theirs, or come back on it. Not of the range that the system gives to outgoing connections
// and to whoever asks for any port: one of those may be taken between finding it and using it.
import { once } from 'node:events'
import { createServer } from 'node:net'

const first = 10_000
const last = 30_000
/** Test files run side by side, each in a process of its own: they begin at different places. */
let next = first + ((process.pid * 97) % (last - first))

/** All different, and free on 127.0.0.1 a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = next
    next = next + 1 < last ? next + 1 : first
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
