// A registry of one image with a password (OCI distribution specification, the reading half), for tests of pulling.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { tar } from '../src/drivers/runtime/tar.ts'
import { busyboxEntries } from './images.ts'

export type Registry = {
  /** host:port */
  readonly address: string
  readonly repository: string
  stop(): Promise<void>
}

export async function startRegistry(
  credentials: { username: string; password: string } | undefined,
): Promise<Registry> {
  const layer = tar(busyboxEntries())
  const blobs = new Map<string, Buffer>()
  const add = (bytes: Buffer) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    blobs.set(digest, bytes)
    return { digest, size: bytes.length }
  }
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
  }
  const docker = 'application/vnd.docker'
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${docker}.distribution.manifest.v2+json`,
      config: { mediaType: `${docker}.container.image.v1+json`, ...add(Buffer.from(JSON.stringify(config))) },
      layers: [{ mediaType: `${docker}.image.rootfs.diff.tar.gzip`, ...add(gzipSync(layer)) }],
    }),
  )
  const manifestDigest = add(manifest).digest
  const wanted =
    credentials === undefined
      ? undefined
      : `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`

  const server = createServer((request, response) => {
    const fail = (status: number, code: string, headers: Record<string, string> = {}) => {
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
      response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }))
    }
    if (wanted !== undefined && request.headers.authorization !== wanted)
      return fail(401, 'UNAUTHORIZED', { 'WWW-Authenticate': 'Basic realm="test"' })
    const [, kind, reference = ''] = /^\/v2\/team\/app\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? []
    if (request.url === '/v2/') return response.end('{}')
    const isManifest = kind === 'manifests'
    const digest = isManifest && reference === 'v1' ? manifestDigest : reference
    const bytes = blobs.get(digest)
    if (bytes === undefined) return fail(404, isManifest ? 'MANIFEST_UNKNOWN' : 'NAME_UNKNOWN')
    response.writeHead(200, {
      'Content-Type': isManifest ? `${docker}.distribution.manifest.v2+json` : 'application/octet-stream',
      'Content-Length': bytes.length,
      'Docker-Content-Digest': digest,
    })
    return response.end(request.method === 'HEAD' ? undefined : bytes)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    repository: 'team/app',
    async stop() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
