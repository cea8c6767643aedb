// `npm run bench -- inputs`: how long one request holds the event loop of an API server, for what nobody should send and for
// objects as large as are stored, beside the least that could be done with the same bytes: JSON.parse and JSON.stringify.
// Nothing else of the process runs while one piece of work does: no heartbeat, no other request. The processor's time of the
// piece is what counts; on a busy machine it takes longer by the clock.
import { request, testApiserver } from '../apiserver/setup.ts'
import {
  body,
  bomb,
  containers,
  growing,
  many,
  maps,
  mergeBomb,
  pods,
  podWith,
  yaml,
} from '../conformance/api/bad-inputs.ts'
import { short } from './kv/report.ts'

const help = `npm run bench -- inputs [options]
  --rounds 3   how often each is sent; the least of the longest pieces counts, for the first calls are compiled

Example:
  npm run bench -- inputs`

export const inputsBench = {
  summary: 'how long bad inputs and the largest objects hold the event loop (--rounds)',
  async run(args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    if (args.includes('--help')) {
      console.log(help)
      process.exit(0)
    }
    const rounds = Number(args[args.indexOf('--rounds') + 1] ?? 3) || 3
    return await measureAll(rounds)
  },
}

type Sent = {
  readonly url: string
  readonly method?: string
  readonly type?: string
  readonly body: string | Uint8Array
}
type Input = { readonly name: string; readonly sent: (round: number) => Sent }

const merge = 'application/merge-patch+json'
const strategic = 'application/strategic-merge-patch+json'
const apply = 'application/apply-patch+yaml'
const jsonPatch = 'application/json-patch+json'

const configMap = (name: string, count: number, key = 'k', value = 'v') =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: Object.fromEntries(Array.from({ length: count }, (_, i) => [`${key}${i}`, value])),
  })
const podOf = (name: string, count: number) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: containers(count) } })
const environment = (name: string, count: number) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      containers: [
        { name: 'a', image: 'a', env: Array.from({ length: count }, (_, i) => ({ name: `E${i}`, value: 'v' })) },
      ],
    },
  })

/** Of reliability rules: refused, or carried out where that is right. */
const hostile: readonly Input[] = [
  ...growing.flatMap(([name, url, make]): Input[] =>
    [300_000, 2_400_000].map(size => ({
      name: `${name}, ${size / 1e6} MB`,
      sent: () => {
        const { body: made, type } = make(size)
        return { url, body: made as string | Uint8Array, ...(type !== undefined && { type }) }
      },
    })),
  ),
  { name: '3 million nested lists', sent: () => ({ url: maps, body: '['.repeat(1_500_000) + ']'.repeat(1_500_000) }) },
  { name: 'one text of 3 MB', sent: () => ({ url: maps, body: body(`"data":{"a":"${'x'.repeat(3_000_000)}"}`) }) },
  { name: 'an alias bomb', sent: () => ({ url: maps, type: yaml, body: bomb() }) },
  { name: 'a bomb of merge keys', sent: () => ({ url: maps, type: yaml, body: mergeBomb() }) },
  {
    name: '1,000 documents',
    sent: () => ({ url: maps, type: yaml, body: 'metadata:\n  name: x\n---\n'.repeat(1_000) }),
  },
  {
    name: 'annotations of 300 kB',
    sent: () => ({ url: maps, body: `{"metadata":{"name":"x","annotations":{"a":"${'a'.repeat(300_000)}"}}}` }),
  },
  {
    name: '10,000 labels',
    sent: round => ({
      url: maps,
      body: `{"metadata":{"name":"labels-${round}","labels":{${many(10_000, i => `"l${i}":"v"`)}}}}`,
    }),
  },
  { name: 'a pod of 1,000 containers', sent: round => ({ url: pods, body: podOf(`thousand-${round}`, 1_000) }) },
  {
    name: '20,000 owners',
    sent: round => ({
      url: maps,
      body: JSON.stringify({
        metadata: {
          name: `owned-${round}`,
          ownerReferences: Array.from({ length: 14_000 }, (_, i) => ({
            apiVersion: 'v1',
            kind: 'Pod',
            name: `a${i}`,
            uid: `u${i}`,
          })),
        },
      }),
    }),
  },
  {
    name: '10,001 changes in a JSON patch',
    sent: () => ({
      url: `${maps}/small`,
      method: 'PATCH',
      type: jsonPatch,
      body: JSON.stringify(Array.from({ length: 10_001 }, (_, i) => ({ op: 'add', path: `/data/n${i}`, value: '' }))),
    }),
  },
  {
    name: '10,000 changes in a JSON patch',
    sent: () => ({
      url: `${maps}/small?dryRun=All`,
      method: 'PATCH',
      type: jsonPatch,
      body: JSON.stringify(Array.from({ length: 10_000 }, (_, i) => ({ op: 'add', path: `/data/n${i}`, value: '' }))),
    }),
  },
  { name: 'a pod of 48,000 containers', sent: () => ({ url: pods, body: podOf('x', 48_000) }) },
  { name: 'a port beyond all', sent: () => ({ url: pods, body: podWith('"ports":[{"containerPort":65536}]') }) },
]

/** As large as what is stored may be. */
const largest: readonly Input[] = [
  { name: 'create, 50,000 keys', sent: round => ({ url: maps, body: configMap(`wide-${round}`, 50_000) }) },
  {
    name: 'update, 50,000 keys',
    sent: round => ({
      url: `${maps}/wide-${round}`,
      method: 'PUT',
      body: configMap(`wide-${round}`, 50_000, 'k', 'w'),
    }),
  },
  {
    name: 'merge patch, 25,000 keys into 25,000',
    sent: () => ({
      url: `${maps}/half?dryRun=All`,
      method: 'PATCH',
      type: merge,
      body: configMap('half', 25_000, 'm'),
    }),
  },
  {
    name: 'apply, 50,000 keys',
    sent: round => ({
      url: `${maps}/applied-${round}?fieldManager=bench`,
      method: 'PATCH',
      type: apply,
      body: configMap(`applied-${round}`, 50_000),
    }),
  },
  {
    name: 'apply again, 50,000 keys',
    sent: round => ({
      url: `${maps}/applied-${round}?fieldManager=bench`,
      method: 'PATCH',
      type: apply,
      body: configMap(`applied-${round}`, 50_000),
    }),
  },
  {
    name: 'apply half of 50,000 keys',
    sent: round => ({
      url: `${maps}/applied-${round}?fieldManager=bench`,
      method: 'PATCH',
      type: apply,
      body: configMap(`applied-${round}`, 25_000, 'k', 'w'),
    }),
  },
  { name: 'create, 3,000 containers', sent: round => ({ url: pods, body: podOf(`many-${round}`, 3_000) }) },
  { name: 'create, 20,000 variables', sent: round => ({ url: pods, body: environment(`env-${round}`, 20_000) }) },
  {
    name: 'strategic patch, 3,000 containers',
    sent: round => ({
      url: `${pods}/many-${round}?dryRun=All`,
      method: 'PATCH',
      type: strategic,
      body: JSON.stringify({ spec: { containers: containers(3_000).map(one => ({ ...one, image: 'b' })) } }),
    }),
  },
]

type Row = {
  readonly code: number
  readonly bytes: number
  readonly pieceMs: number
  readonly totalMs: number
  readonly rawMs: number
}

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

async function measureAll(rounds: number): Promise<Readonly<Record<string, unknown>>> {
  const one = await testApiserver()
  let pieceMs = 0
  let lastMs = cpuMs()
  let over = false
  const look = () => {
    const nowMs = cpuMs()
    pieceMs = Math.max(pieceMs, nowMs - lastMs)
    lastMs = nowMs
    if (!over) setImmediate(look)
  }
  look()
  const turn = () => new Promise(resolve => setImmediate(resolve))

  async function send({ url, body: given, method, type = 'application/json' }: Sent): Promise<Row> {
    const asked = request(url, { body: given, type, ...(method !== undefined && { method }) })
    await new Promise(resolve => setTimeout(resolve, 20))
    const beforeMs = cpuMs()
    ;[pieceMs, lastMs] = [0, beforeMs]
    const { code } = (await one.apiserver.handle(asked)) as { readonly code: number }
    const totalMs = cpuMs() - beforeMs
    await turn()
    const row = { code, bytes: given.length, pieceMs, totalMs, rawMs: rawCost(given) }
    await turn()
    return row
  }

  async function best({ name, sent }: Input): Promise<Row> {
    let least: Row | undefined
    for (let round = 0; round < rounds; round++) {
      const row = await send(sent(round))
      if (least === undefined || row.pieceMs < least.pieceMs) least = row
    }
    if (least === undefined) throw new Error('no round')
    const numbers = [least.pieceMs, least.totalMs, least.rawMs].map(value => short(value).padStart(10)).join('')
    console.log(
      `${name.padEnd(56)}${(least.bytes / 1e6).toFixed(2).padStart(6)}${String(least.code).padStart(6)}${numbers}`,
    )
    return least
  }

  async function worstOf(title: string, inputs: readonly Input[]) {
    console.log(
      `${title.padEnd(56)}${'MB'.padStart(6)}${'code'.padStart(6)}${'piece ms'.padStart(10)}${'all ms'.padStart(10)}${'JSON ms'.padStart(10)}`,
    )
    let worst = { input: '', pieceMs: 0, overJson: 0 }
    for (const input of inputs) {
      const { pieceMs: ms, rawMs } = await best(input)
      if (ms > worst.pieceMs)
        worst = { input: input.name, pieceMs: Number(short(ms)), overJson: Number(short(ms / rawMs)) }
    }
    return worst
  }

  for (let i = 0; i < 300; i++)
    await one.apiserver.handle(request(maps, { body: configMap(`warm-${i}`, 20), type: 'application/json' }))
  await one.apiserver.handle(request(maps, { body: configMap('small', 1), type: 'application/json' }))
  await one.apiserver.handle(request(maps, { body: configMap('half', 25_000), type: 'application/json' }))
  const result = {
    hostile: await worstOf('what nobody should send', hostile),
    largest: await worstOf('as large as is stored', largest),
  }
  over = true
  one.stop()
  return { ratios: { hostileOverJson: result.hostile.overJson, largestOverJson: result.largest.overJson }, ...result }
}

/** What every server must do with the bytes at the least. */
function rawCost(given: string | Uint8Array): number {
  const text = typeof given === 'string' ? given : Buffer.from(given).toString()
  const beforeMs = cpuMs()
  try {
    JSON.stringify(JSON.parse(text))
  } catch {
    // What is no JSON costs what it took to see that.
  }
  return cpuMs() - beforeMs
}
