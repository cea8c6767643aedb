// The golden transcripts: what members say to each other, line by line. UPDATE=1 rewrites them; read the difference.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { replay } from './transcript.ts'

const folder = new URL('../golden/raft/', import.meta.url)

/** A place in the Raft paper or the dissertation, or a public thread or test: `owner/name#7`, `etcd-io/raft, prevote`. */
const source = /Raft paper, (section|figure)|[Dd]issertation \d+\.\d|[\w.-]+\/[\w.-]+(#\d+|, \w+)|Cloudflare/

for (const name of readdirSync(folder).sort()) {
  test(`golden/raft/${name} says in its first lines what it proves`, () => {
    const lines = readFileSync(new URL(name, folder), 'utf8').split('\n')
    const head = lines.slice(
      0,
      lines.findIndex(line => !line.startsWith('#')),
    )
    expect(head.map(line => line.slice(2)).join(' ')).toMatch(source)
  })

  test(`the conversation is as written in golden/raft/${name}`, () => {
    const path = new URL(name, folder)
    const written = readFileSync(path, 'utf8')
    const heard = replay(written)
    if (process.env['UPDATE'] === '1') writeFileSync(path, heard)
    else expect(heard).toBe(written)
  })
}
