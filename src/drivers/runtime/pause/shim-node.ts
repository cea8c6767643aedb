// The shim for machines where shim.c does not run (macOS, other processors): the same folder, files and frames, written for
// Node. It weighs what a Node weighs and has no terminals. Its one function is self-contained: it is run from its own text, so
// that it works from a bundle too.
import type { ShimCommand } from '../shim.ts'

export function nodeShim(): ShimCommand {
  return [process.execPath, '-e', `(${shimMain.toString()})(process.argv.slice(1))`, '--']
}

function shimMain(words: string[]): void {
  // No imports: a bundler would rewrite them into names that only its own file has.
  const fs = process.getBuiltinModule('node:fs')
  const net = process.getBuiltinModule('node:net')
  const path = process.getBuiltinModule('node:path')
  const { spawn } = process.getBuiltinModule('node:child_process')
  const { constants } = process.getBuiltinModule('node:os')
  let keepStdin = false
  let stdinOnce = false
  let cwd: string | undefined
  let logBytesMax = 10 * 1024 * 1024
  let at = 1
  for (; words[at]?.startsWith('-'); at++) {
    const flag = words[at]
    if (flag === '-i') keepStdin = true
    else if (flag === '-1') stdinOnce = true
    else if (flag === '-w') cwd = words[++at]
    else if (flag === '-m') logBytesMax = Number(words[++at])
    else throw new Error(`this shim has no ${flag}`)
  }
  if (words[0] !== 'run' || words[at + 1] !== '--') throw new Error('shim run [flags] DIR -- PROGRAM ...')
  const folder = words[at] ?? '.'
  const [program = '', ...args] = words.slice(at + 2)
  process.chdir(folder)
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE'] as const) process.on(name, () => {})
  const place = (name: string, value: unknown) => {
    fs.writeFileSync(`${name}.new`, `${JSON.stringify(value)}\n`)
    fs.renameSync(`${name}.new`, name)
  }
  // One shim per container: a second leaves it alone, unless the first was killed before it could start anything.
  const claim = () => fs.writeFileSync('claimed', String(process.pid), { flag: 'wx' })
  try {
    claim()
  } catch {
    try {
      process.kill(Number(fs.readFileSync('claimed', 'utf8')), 0)
      process.exit(0)
    } catch {
      fs.rmSync('claimed', { force: true })
      claim()
    }
  }

  let log = fs.openSync('log', 'a', 0o640)
  let logSize = 0
  const rests: Record<string, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
  const record = (stream: string, tag: string, text: Buffer) => {
    const stamp = new Date().toISOString().replace('Z', '000000Z')
    const line = Buffer.concat([Buffer.from(`${stamp} ${stream} ${tag} `), text, Buffer.from('\n')])
    if (logSize + line.length > logBytesMax) {
      fs.closeSync(log)
      fs.renameSync('log', 'log.1')
      log = fs.openSync('log', 'a', 0o640)
      logSize = 0
    }
    fs.writeSync(log, line)
    logSize += line.length
  }
  const take = (stream: string, chunk: Buffer) => {
    let rest = Buffer.concat([rests[stream] ?? Buffer.alloc(0), chunk])
    for (;;) {
      const end = rest.indexOf(10)
      if (end >= 0 && end <= 16_384) {
        record(stream, 'F', rest.subarray(0, end))
        rest = rest.subarray(end + 1)
      } else if (rest.length >= 16_384) {
        record(stream, 'P', rest.subarray(0, 16_384))
        rest = rest.subarray(16_384)
      } else break
    }
    rests[stream] = Buffer.from(rest)
  }

  const child = spawn(program, args, {
    detached: true,
    stdio: [keepStdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  const { stdin, stdout, stderr, pid } = child
  const clients = new Set<import('node:net').Socket>()
  const server = net.createServer(client => {
    clients.add(client)
    let rest: Buffer = Buffer.alloc(0)
    client.on('data', chunk => {
      rest = Buffer.concat([rest, chunk as Buffer])
      while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(4)) {
        const end = 8 + rest.readUInt32BE(4)
        if (rest[0] === 0 && stdin !== null && stdin.writable && !stdin.write(rest.subarray(8, end))) {
          client.pause()
          stdin.once('drain', () => client.resume())
        }
        if (rest[0] === 4 && stdinOnce) stdin?.end()
        rest = Buffer.from(rest.subarray(end))
      }
    })
    client.on('error', () => {})
    client.on('close', () => {
      clients.delete(client)
      if (stdinOnce) stdin?.end()
    })
  })
  stdin?.on('error', () => {})
  let open = 2
  let status: { code: number; signal: number; finishedMs: number } | undefined
  const finish = () => {
    if (status === undefined) return
    for (const [stream, rest] of Object.entries(rests)) if (rest.length > 0) record(stream, 'P', rest)
    rests['stdout'] = rests['stderr'] = Buffer.alloc(0)
    place('exit.json', { code: status.code, signal: status.signal, oom: false, finishedMs: status.finishedMs })
    fs.rmSync('attach.sock', { force: true })
    fs.closeSync(fs.openSync(path.join('..', '..', 'ended', path.basename(process.cwd())), 'a'))
    // What clients were told last is still on its way.
    for (const client of clients) client.end()
    setTimeout(() => process.exit(0), 100)
  }
  for (const [name, kind, stream] of [['stdout', 1, stdout] as const, ['stderr', 2, stderr] as const]) {
    stream?.on('data', (chunk: Buffer) => {
      take(name, chunk)
      const header = Buffer.alloc(8)
      header[0] = kind
      header.writeUInt32BE(chunk.length, 4)
      for (const client of clients) {
        client.write(Buffer.concat([header, chunk]))
        if (client.writableLength > 16 * 1024 * 1024) client.destroy()
      }
    })
    stream?.on('close', () => {
      open--
      if (open === 0) finish()
    })
  }
  const began = (of: number | undefined): number => {
    try {
      const text = fs.readFileSync(`/proc/${of}/stat`, 'utf8')
      return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19])
    } catch {
      return 0
    }
  }
  child.on('error', (error: NodeJS.ErrnoException) => {
    const code = error.code === 'ENOENT' ? 2 : error.code === 'EACCES' ? 13 : 8
    place('started.json', { failed: 'cannot run the program', code })
    process.exit(1)
  })
  child.on('exit', (code, name) => {
    const signal = name === null ? 0 : constants.signals[name]
    status = { code: code ?? 128 + signal, signal, finishedMs: Date.now() }
    try {
      // A container is its main process: its group ends with it.
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {}
    if (open === 0) finish()
    // Whoever keeps the pipes open longer than this is not waited for.
    else setTimeout(finish, 1_000)
  })
  child.on('spawn', () => {
    server.listen('attach.sock', () => {
      const shim = process.pid
      const started = { pid, start: began(pid), shim, shimStart: began(shim), startedMs: Date.now() }
      place('started.json', started)
      fs.closeSync(1)
    })
  })
}
