// `npm run bench -- <name> [options]`: prints a table for people and, as its last line, one JSON object for programs.
// Numbers of two machines, or of a busy one, cannot be compared: each bench measures its own yardstick in the same run.

type Bench = {
  /** The line that --help shows. */
  readonly summary: string
  /** Gives what the last line says. */
  readonly run: (options: readonly string[]) => Promise<Readonly<Record<string, unknown>>>
}

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  wal: async () => (await import('./wal.ts')).walBench,
  raft: async () => (await import('./raft.ts')).raftBench,
  'kv-apply': async () => (await import('./kv-apply.ts')).kvApplyBench,
  store: async () => (await import('./store.ts')).storeBench,
  kv: async () => (await import('./kv/kv.ts')).kvBench,
  api: async () => (await import('./api/api.ts')).apiBench,
  inputs: async () => (await import('./inputs.ts')).inputsBench,
  grpc: async () => (await import('./grpc.ts')).grpcBench,
  mesh: async () => (await import('./mesh.ts')).meshBench,
}

async function help(): Promise<void> {
  console.log('usage: npm run bench -- <name> [options]\n')
  for (const [name, load] of Object.entries(benches)) console.log(`  ${name.padEnd(10)} ${(await load()).summary}`)
  console.log('\nThe last line of the output is one JSON object.')
}

const [name, ...options] = process.argv.slice(2)
const load = name === undefined ? undefined : benches[name]
if (name === '--help' || name === '-h') await help()
else if (load === undefined) {
  console.error(name === undefined ? 'which bench?' : `no bench is called ${name}`)
  await help()
  process.exitCode = 2
} else {
  const result = await (await load()).run(options)
  console.log(JSON.stringify({ bench: name, ...result }))
}
