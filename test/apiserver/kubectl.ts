// Runs the real kubectl of a version. They lie beside the one on the PATH as kubectl.1.27 and so on.
import { spawn } from 'node:child_process'
import { kubectlBinaries } from '../clients.ts'

const binaries = kubectlBinaries()

/** Those of `versions` that are installed; in CI all must be. */
export function installed(versions: readonly string[]): readonly string[] {
  const found = versions.filter(version => binaries.has(version))
  if (process.env['CI'] === 'true' && found.length < versions.length) throw new Error('kubectl is missing in CI')
  return found
}

export type Result = { readonly code: number; readonly out: string; readonly err: string }

export class Kubectl {
  readonly #binary: string
  readonly #env: NodeJS.ProcessEnv
  constructor(version: string, kubeconfig: string, cache: string, env: NodeJS.ProcessEnv = {}) {
    this.#binary = binaries.get(version) ?? `kubectl.${version}`
    this.#env = { ...process.env, KUBECONFIG: kubeconfig, KUBECACHEDIR: cache, HOME: cache, ...env }
  }

  start(args: readonly string[], input: string | Uint8Array = '', env: NodeJS.ProcessEnv = {}) {
    const child = spawn(this.#binary, args, { env: { ...this.#env, ...env } })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', text => (out += text))
    child.stderr.setEncoding('utf8').on('data', text => (err += text))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const done = new Promise<Result>(resolve => {
      child.on('close', code => resolve({ code: code ?? -1, out, err }))
    })
    return {
      done,
      kill: () => child.kill(),
      out: () => out,
      /** Resolves once standard output holds `text`. */
      async says(text: string): Promise<void> {
        while (!out.includes(text)) {
          if (child.exitCode !== null) throw new Error(`kubectl ended without saying ${text}: ${out}${err}`)
          await new Promise(resolve => setTimeout(resolve, 20))
        }
      },
    }
  }

  run(args: string, input?: string | Uint8Array, env: NodeJS.ProcessEnv = {}): Promise<Result> {
    return this.start(args.split(' '), input, env).done
  }

  /** The standard output; throws when kubectl fails. */
  async ok(args: string, input?: string | Uint8Array, env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { code, out, err } = await this.run(args, input, env)
    if (code !== 0) throw new Error(`kubectl ${args}: exit code ${code}: ${err}`)
    return out.trimEnd()
  }
}
