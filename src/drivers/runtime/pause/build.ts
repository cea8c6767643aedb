// Compiles pause.c and shim.c for the processors we know and writes bytes.ts. Run by hand after a change of the sources:
// `node src/drivers/runtime/pause/build.ts`, with gcc and gcc-aarch64-linux-gnu installed. Not part of the program.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const here = import.meta.dirname
const compilers = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' }
const flags = [
  ...['-Os', '-static', '-nostdlib', '-ffreestanding', '-fno-builtin', '-fno-stack-protector', '-fno-pie', '-no-pie'],
  ...['-fno-asynchronous-unwind-tables', '-Wall', '-Wextra', '-Werror', '-Wno-unused-function', '-s'],
  // Kernels for AArch64 have pages of 4, 16 or 64 KiB; segments must be aligned for all of them.
  '-Wl,--build-id=none,-z,noseparate-code,-z,max-page-size=65536,-z,noexecstack',
]
const folder = mkdtempSync(join(tmpdir(), 'flotilla-build-'))
const lines = [
  '// Made by build.ts from pause.c and shim.c: static Linux programs without a C library, gzip, base64. Do not edit.',
  '',
]
for (const program of ['pause', 'shim']) {
  if (!existsSync(join(here, `${program}.c`))) continue
  lines.push(`export const ${program}Programs: Readonly<Record<'x64' | 'arm64', string>> = {`)
  for (const [processor, compiler] of Object.entries(compilers)) {
    const out = join(folder, `${program}-${processor}`)
    execFileSync(compiler, [...flags, '-o', out, join(here, `${program}.c`)], { stdio: 'inherit' })
    const bytes = readFileSync(out)
    console.log(`${program} ${processor}: ${bytes.length} bytes`)
    lines.push(`  ${processor}:`, `    '${gzipSync(bytes, { level: 9 }).toString('base64')}',`)
  }
  lines.push('}', '')
}
writeFileSync(join(here, 'bytes.ts'), lines.join('\n'))
rmSync(folder, { recursive: true })
