// The thread of yaml.ts: a text comes in, what it says or what is wrong with it goes out.
import { parentPort } from 'node:worker_threads'
import { ApiError } from '../api/error.ts'
import { readYaml } from '../api/parse.ts'
import type { Read } from '../api/reader.ts'

export type Said = { readonly read: Read } | { readonly refused: string } | { readonly broken: string }

function said(text: string): Said {
  try {
    return { read: readYaml(text, 'Strict') }
  } catch (error) {
    return error instanceof ApiError ? { refused: error.message } : { broken: String(error) }
  }
}

parentPort?.on('message', (text: string) => parentPort?.postMessage(said(text)))
