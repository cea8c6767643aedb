// Holds what src/README.md says of the layers: who may import whom, and where the outside may be touched.
import { readdirSync, readFileSync } from 'node:fs'
import * as path from 'node:path'
import { expect, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '..')
const layers: readonly (readonly string[])[] = [
  ['lib'],
  ['world', 'wire', 'api'],
  ['raft', 'kv', 'gossip', 'client'],
  ['store', 'apiserver', 'scheduler', 'controllers', 'kubelet', 'proxy', 'dns', 'overlay', 'etcd', 'drivers'],
  ['node'],
  ['cli', 'dashboard'],
  ['main.ts'],
]
const layerOf = new Map(layers.flatMap((folders, i) => folders.map(folder => [folder, i] as const)))
const shells = ['drivers', 'node', 'cli', 'main.ts']
/** npm packages that only compute: any file may use them. */
const purePackages = new Set(['@bufbuild/protobuf', 'yaml'])

const files = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts') && !file.startsWith('wire/gen/'))
  .map(file => ({ file, text: readFileSync(path.join(root, 'src', file), 'utf8') }))

const folderOf = (file: string) => file.split('/')[0] ?? ''
const isShell = (file: string) => shells.includes(folderOf(file)) || path.basename(file).startsWith('run')
const importsOf = (text: string) =>
  [...text.matchAll(/^(?:import|export)\b[^'"`]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    match => match[1] ?? match[2] ?? match[3] ?? '',
  )
const withoutTextAndComments = (text: string) =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(
      /`(?:\\.|\$\{[^}]*\}|[^`\\])*`|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<![\w)\]])\/(?![/*])(?:\\.|[^/\\\n])+\/[a-z]*/g,
      "''",
    )
    .replace(/\/\/.*$/gm, '')

test('every folder of src has a layer', () => {
  expect(files.map(({ file }) => folderOf(file)).filter(folder => !layerOf.has(folder))).toEqual([])
})

test('a folder imports only from lower layers, or from itself', () => {
  const wrong = files.flatMap(({ file, text }) =>
    importsOf(text)
      .filter(to => to.startsWith('.'))
      .map(to => folderOf(path.relative(path.join(root, 'src'), path.resolve(root, 'src', path.dirname(file), to))))
      .filter(
        to => to !== folderOf(file) && (layerOf.get(to) ?? 99) >= (layerOf.get(folderOf(file)) ?? -1) && to !== '..',
      )
      .map(to => `${file} imports ${to}`),
  )
  expect(wrong).toEqual([])
})

test('only shells import node: modules and packages that touch the outside', () => {
  const wrong = files
    .filter(({ file }) => !isShell(file))
    .flatMap(({ file, text }) =>
      importsOf(text)
        .filter(to => !to.startsWith('.') && !purePackages.has(to))
        .map(to => `${file} imports ${to}`),
    )
  expect(wrong).toEqual([])
})

test('only shells wait, read clocks, draw random numbers or speak to the process', () => {
  const words =
    /\b(?:await|async)\b|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bprocess\.|\bcrypto\.|\bfetch\(/
  const wrong = files
    .filter(({ file }) => !isShell(file))
    .flatMap(({ file, text }) => {
      const found = words.exec(withoutTextAndComments(text))
      return found === null ? [] : [`${file}: ${found[0]}`]
    })
  expect(wrong).toEqual([])
})

test('libp2p and Docker are each imported in one folder', () => {
  const users = (name: RegExp) =>
    files.filter(({ text }) => importsOf(text).some(to => !to.startsWith('.') && name.test(to))).map(({ file }) => file)
  expect(users(/libp2p|multiaddr/).filter(file => !/^drivers\/(network\/|identity\.ts)/.test(file))).toEqual([])
  expect(users(/^dockerode$/).filter(file => !file.startsWith('drivers/runtime/'))).toEqual([])
})

test('no file is over 600 lines without a reason in its header', () => {
  const long = files.filter(
    ({ text }) => text.split('\n').length > 600 && !/^\/\/.*\blong\b/m.test(text.slice(0, 1_500)),
  )
  expect(long.map(({ file }) => file)).toEqual([])
})

test('the project speaks of the project alone', () => {
  const texts = ['src', 'test', 'testnet', 'examples', 'proto']
    .flatMap(folder =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map(file => path.join(folder, file)),
    )
    .filter(file => /\.(ts|js|md|yaml|proto)$/.test(file) && file !== 'test/tidy.test.ts' && !file.includes('golden'))
  const wrong = texts.filter(file =>
    /\/work\/|registry\.npmjs|deb\.debian\.org/.test(readFileSync(path.join(root, file), 'utf8')),
  )
  expect(wrong).toEqual([])
})
