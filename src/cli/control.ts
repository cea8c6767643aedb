// Asking the agent on this machine, by the socket in its data directory. Who may open the socket may ask.
import * as http from 'node:http'
import * as path from 'node:path'
import { controlSocket } from '../node/run-files.ts'

/** Rejects with what to do when no agent answers. */
export function ask<T>(dataDir: string, method: string, at: string, body?: unknown): Promise<T> {
  const socketPath = controlSocket(path.resolve(dataDir))
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method, path: at, timeout: 30_000 }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        if ((response.statusCode ?? 500) < 300) resolve(JSON.parse(text) as T)
        else reject(new Error(text.trim()))
      })
      response.on('error', reject)
    })
    request.once('timeout', () => request.destroy(new Error('the agent did not answer within 30 s')))
    request.once('error', error => {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ECONNREFUSED') {
        reject(
          new Error(
            `no agent runs with the data directory ${dataDir}: start it with \`flotilla up\`, or name another --data-dir`,
          ),
        )
      } else if (code === 'EACCES') reject(new Error(`${socketPath} belongs to another user: try with sudo`))
      else reject(error)
    })
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
