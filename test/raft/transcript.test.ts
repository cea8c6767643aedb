// The golden transcripts: what members say to each other, line by line. UPDATE=1 rewrites them; read the difference.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { replay } from './transcript.ts'

const folder = new URL('../golden/raft/', import.meta.url)

for (const name of readdirSync(folder).sort()) {
  test(`the conversation is as written in golden/raft/${name}`, () => {
    const path = new URL(name, folder)
    const written = readFileSync(path, 'utf8')
    const heard = replay(written)
    if (process.env['UPDATE'] === '1') writeFileSync(path, heard)
    else expect(heard).toBe(written)
  })
}
