// One testnet of three hosts for all end-to-end tests: up before the first, down after the last.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { down, load, up } from '../../testnet/testnet.ts'
import { busyboxArchive } from '../images.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    testnetDir: string
  }
}

let dir = ''

export async function setup({ provide }: { provide: (key: 'testnetDir', value: string) => void }): Promise<void> {
  dir = mkdtempSync(path.join(tmpdir(), 'flotilla-e2e-'))
  const images = [path.join(dir, 'busybox.tar')]
  writeFileSync(images[0] ?? '', busyboxArchive('busybox:1.36'))
  const say = (line: string) => console.log(`testnet: ${line}`)
  await up({ name: 'fle2e', dir, hosts: 3, runtime: 'docker', flags: ['--log-level=debug'], images, say })
  provide('testnetDir', dir)
}

export async function teardown(): Promise<void> {
  await down(await load(dir))
  rmSync(dir, { recursive: true, force: true })
}
