// Asking the agent on this machine, by the socket in its data directory. Who may open the socket may ask.
import * as http from 'node:http'
import * as path from 'node:path'
import type { Bytes } from '../lib/bytes.ts'
import { isServed } from '../node/run-control.ts'
import { controlSocket } from '../node/run-files.ts'

const answerMs = 30_000

/** Whether an agent runs with this data directory. */
export function agentRuns(dataDir: string): Promise<boolean> {
  return isServed(controlSocket(path.resolve(dataDir)))
}

/** The answer. Rejects with what to do when no agent answers, or with the agent's own words. */
export async function ask<T>(dataDir: string, method: string, at: string, body?: unknown): Promise<T> {
  const response = await open(dataDir, method, at, body, answerMs)
  return JSON.parse(await textOf(response)) as T
}

/** For what takes long: each line that the agent says on the way, then the result. */
export async function askLong<T>(
  dataDir: string,
  method: string,
  at: string,
  body: unknown,
  say: (line: string) => void,
): Promise<T> {
  const response = await open(dataDir, method, at, body, undefined)
  let rest = ''
  for await (const part of response as AsyncIterable<Buffer>) {
    const lines = (rest + part.toString('utf8')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const told = JSON.parse(line) as { say?: string; done?: T; error?: string }
      if (told.error !== undefined) throw new Error(told.error)
      if (told.say !== undefined) say(told.say)
      else return told.done as T
    }
  }
  throw new Error('the agent ended before it was done: its log says why')
}

/** Bytes as they come. Throws when the agent breaks off. */
export async function download(dataDir: string, at: string): Promise<AsyncIterable<Bytes>> {
  return await open(dataDir, 'GET', at, undefined, undefined)
}

async function open(
  dataDir: string,
  method: string,
  at: string,
  body: unknown,
  timeout: number | undefined,
): Promise<http.IncomingMessage> {
  const socketPath = controlSocket(path.resolve(dataDir))
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const options = { socketPath, method, path: at, ...(timeout !== undefined && { timeout }) }
    const request = http.request(options, resolve)
    request.once('timeout', () => request.destroy(new Error(`the agent did not answer within ${answerMs / 1_000} s`)))
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
  if ((response.statusCode ?? 500) >= 300) throw new Error((await textOf(response)).trim())
  return response
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}
