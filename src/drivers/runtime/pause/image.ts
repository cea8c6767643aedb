// The image of the process that holds a pod's namespaces: shipped inside the program, loaded by the agent, never pulled.
import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { type Bytes, utf8 } from '../../../lib/bytes.ts'
import { tar } from '../tar.ts'
import { pausePrograms } from './bytes.ts'

export const pauseImageName = 'flotilla.dev/pause:1'

export type Processor = keyof typeof pausePrograms

/** Node's, Go's and uname's words for the processors that we have programs for. */
export function processor(name: string): Processor | undefined {
  if (['x64', 'amd64', 'x86_64'].includes(name)) return 'x64'
  if (['arm64', 'aarch64'].includes(name)) return 'arm64'
  return undefined
}

export function pauseProgram(of: Processor): Bytes {
  return gunzipSync(Buffer.from(pausePrograms[of], 'base64'))
}

/** A docker-archive, as `docker save` writes it. The same bytes each time, so that the image has the same ID. */
export function pauseArchive(of: Processor): Bytes {
  const layer = tar([{ kind: 'file', path: 'pause', mode: 0o755, bytes: pauseProgram(of) }])
  return dockerArchive(pauseImageName, of, layer, { Entrypoint: ['/pause'], User: '65535:65535' })
}

/** An image of one layer. `config` is the image's Config as Docker has it: Cmd, Entrypoint, Env, User, WorkingDir. */
export function dockerArchive(
  name: string,
  of: Processor,
  layer: Bytes,
  config: Readonly<Record<string, unknown>>,
): Bytes {
  const configuration = JSON.stringify({
    architecture: of === 'x64' ? 'amd64' : 'arm64',
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config,
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    history: [{ created: '1970-01-01T00:00:00Z', created_by: 'flotilla' }],
  })
  const configurationName = `${sha256(utf8(configuration))}.json`
  const manifest = [{ Config: configurationName, RepoTags: [name], Layers: ['layer.tar'] }]
  return tar([
    { kind: 'file', path: configurationName, mode: 0o644, bytes: utf8(configuration) },
    { kind: 'file', path: 'layer.tar', mode: 0o644, bytes: layer },
    { kind: 'file', path: 'manifest.json', mode: 0o644, bytes: utf8(JSON.stringify(manifest)) },
  ])
}

function sha256(bytes: Bytes): string {
  return createHash('sha256').update(bytes).digest('hex')
}
