// Makes package-lock.json complete: npm leaves out platform builds of other systems when the registry in use lacks them,
// and `npm ci` then calls the lock out of sync. Run after every `npm install`: `node .ci/lock.ts`.
import { readFileSync, writeFileSync } from 'node:fs'

type Package = { version?: string; optionalDependencies?: Record<string, string>; [key: string]: unknown }
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Package> }
let added = 0
for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === '') continue
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (!/^\d/.test(version) || lock.packages[`node_modules/${name}`] || lock.packages[`${path}/node_modules/${name}`])
      continue
    const os = /darwin|linux|win32|freebsd|android|openharmony/.exec(name)?.[0] ?? 'none'
    const cpu = /arm64|x64|ia32|riscv64|s390x|ppc64|arm/.exec(name)?.[0] ?? 'none'
    lock.packages[`node_modules/${name}`] = { version, cpu: [cpu], os: [os], optional: true }
    added++
  }
}
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`)
console.log(`package-lock.json: ${added} entries added`)
