// Images made in code, since tests have no registry: docker-archives for `POST /images/load` and for the runc runtime's
// `tar:`. Used by the conformance suites and by the testnet.
import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { dockerArchive, processor } from '../src/drivers/runtime/pause/image.ts'
import { type TarEntry, tar } from '../src/drivers/runtime/tar.ts'
import type { Bytes } from '../src/lib/bytes.ts'

const busyboxPath = '/bin/busybox'
// `wget` is left out: Debian's static busybox crashes in it.
const applets =
  'sh ash cat echo sleep ls id env nc nslookup ping ip ps kill mkdir rm mv cp touch stat head tail wc grep sed awk tr cut sort ' +
  'seq tar test true false printf dd hostname mount umount chmod chown ln date sync yes od md5sum sha256sum httpd stty tty pwd ' +
  'find xargs tee uname df free nproc readlink which vi timeout unshare'

function processorHere() {
  const here = processor(process.arch)
  if (here === undefined) throw new Error(`no images for ${process.arch}`)
  return here
}

export function busyboxEntries(): readonly TarEntry[] {
  return [
    ...['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root', 'home'].map(path => ({
      kind: 'folder' as const,
      path,
      mode: path === 'tmp' ? 0o1777 : 0o755,
    })),
    { kind: 'file', path: 'bin/busybox', mode: 0o755, bytes: readFileSync(busyboxPath) },
    ...applets.split(' ').map(name => ({ kind: 'symlink' as const, path: `bin/${name}`, target: 'busybox' })),
    {
      kind: 'file',
      path: 'etc/passwd',
      mode: 0o644,
      bytes: Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    },
    { kind: 'file', path: 'etc/group', mode: 0o644, bytes: Buffer.from('root:x:0:\nnogroup:x:65534:\n') },
  ]
}

/** busybox as a docker-archive, 2 MB. `user` is what the image names as its USER. */
export function busyboxArchive(name = 'busybox:test', user = ''): Bytes {
  const config = {
    Cmd: ['sh'],
    Env: ['PATH=/bin', 'FROM_IMAGE=yes'],
    WorkingDir: '/',
    ...(user === '' ? {} : { User: user }),
  }
  return dockerArchive(name, processorHere(), tar(busyboxEntries()), config)
}

/** The node that runs this test with its shared libraries, and busybox, as a docker-archive, about 110 MB. */
export function nodeArchive(name = 'node:test', files: readonly TarEntry[] = []): Bytes {
  const node = realpathSync(process.execPath)
  const listed = execFileSync('ldd', [node], { encoding: 'utf8' })
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(match => match[1] ?? '')
  const folders = new Set<string>()
  for (const path of ['/usr/local/bin/node', ...libraries])
    path
      .split('/')
      .slice(1, -1)
      .reduce((above, part) => {
        const folder = above === '' ? part : `${above}/${part}`
        folders.add(folder)
        return folder
      }, '')
  const taken = new Set(busyboxEntries().map(({ path }) => path))
  const entries: TarEntry[] = [
    ...busyboxEntries(),
    ...[...folders]
      .filter(path => !taken.has(path))
      .sort()
      .map(path => ({ kind: 'folder' as const, path, mode: 0o755 })),
    { kind: 'file', path: 'usr/local/bin/node', mode: 0o755, bytes: readFileSync(node) },
    ...libraries.map(path => ({
      kind: 'file' as const,
      path: path.slice(1),
      mode: 0o755,
      bytes: readFileSync(realpathSync(path)),
    })),
    ...files,
  ]
  const config = { Cmd: ['node'], Env: ['PATH=/usr/local/bin:/bin'], WorkingDir: '/' }
  return dockerArchive(name, processorHere(), tar(entries), config)
}
