// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the guards are pieces of program, as texts
// What keeps the API server from attacks that are known, each guard as the text in which it stands. Without it the test that
// is named must fail: run.ts takes them away one by one, and guards.test.ts holds the table to the sources.

export type Guard = {
  /** Of the known attacks on API servers: A on who may do what, B by browsers, D by load, slow: by clients that only wait. */
  readonly row: string
  /** Under src/. */
  readonly file: string
  /** Stands there exactly once. */
  readonly text: string
  /** What is there without the guard. */
  readonly becomes: string
  /** Under test/. */
  readonly test: string
  /** A part of the name of the test, or of the tests. */
  readonly name: string
}

const reach = 'conformance/api/security-reach.test.ts'
const rows = 'conformance/api/security.test.ts'
const wire = 'conformance/api/hostile-wire.test.ts'
const tokens = 'apiserver/authn.test.ts'
const timing = 'apiserver/timing.test.ts'
const nodes = 'conformance/api/node-restriction.test.ts'
const rights = 'conformance/api/rbac.test.ts'
const load = 'conformance/api/hostile.test.ts'

export const guards: readonly Guard[] = [
  {
    row: 'A1',
    file: 'apiserver/route.ts',
    text: "if (text === '' || text === '.' || text === '..' || /[/\\\\\\0]/.test(text)) {",
    becomes: 'if (false) {',
    test: rows,
    name: 'route (A1)',
  },
  {
    row: 'A1',
    file: 'apiserver/run.ts',
    text: "(kind.scope === 'Cluster' && asked.namespace !== undefined)",
    becomes: 'false',
    test: rows,
    name: 'resource (A1',
  },
  {
    row: 'A1',
    file: 'apiserver/stored.ts',
    // Another namespace whose name begins alike would be listed too.
    text: '? `${prefix}${packText(namespace)}/`',
    becomes: '? `${prefix}${packText(namespace)}`',
    test: rows,
    name: 'prefixOf (A1)',
  },
  {
    row: 'A1',
    file: 'apiserver/list.ts',
    text: '    of === prefix &&\n',
    becomes: '',
    test: rows,
    name: 'continue tokens (A1)',
  },
  {
    row: 'A2',
    file: 'drivers/http/upgrade.ts',
    text: '  socket.end(bytes)',
    becomes: '  socket.write(bytes)',
    test: 'conformance/http.test.ts',
    name: '(A2, CVE-2018-1002105)',
  },
  {
    row: 'A3',
    file: 'apiserver/run-proxy.ts',
    text: "reference?.kind !== 'Pod'",
    becomes: 'false',
    test: reach,
    name: 'serviceTarget (A3',
  },
  {
    row: 'A3',
    file: 'apiserver/run-metrics.ts',
    text: "if (!['healthz', 'metrics/resource', 'stats/summary'].includes(path))",
    becomes: 'if (false)',
    test: reach,
    name: 'nodeProxy (A3)',
  },
  {
    row: 'A3',
    file: 'apiserver/aggregate.ts',
    text: 'if (pod === undefined && isSpecial(address)) return []',
    becomes: '',
    test: 'conformance/api/aggregator.test.ts',
    name: 'never lead to a peer itself or its link (A3)',
  },
  {
    row: 'A3',
    file: 'apiserver/run-aggregate.ts',
    text: 'return code >= 300 && code <= 399 && headers.location !== undefined',
    becomes: 'return false',
    test: 'conformance/api/aggregator.test.ts',
    name: 'nobody is redirected by another server (A3',
  },
  {
    row: 'A4',
    file: 'apiserver/run-session.ts',
    text: 'const peer = kubelets.peerOfNode(node)',
    becomes:
      'const peer = kubelets.peerOfNode(JSON.parse((await context.store.get(`/registry/nodes/${node}`)).value).status.addresses[1].address)',
    test: reach,
    name: 'connect (A4)',
  },
  {
    row: 'A5',
    file: 'apiserver/run.ts',
    text: 'for (const need of other.needs) await demand(known, need)',
    becomes: '',
    test: rows,
    name: 'speaker (A5)',
  },
  {
    row: 'A5',
    file: 'apiserver/run.ts',
    text: '{ hook: escalationHook(authorizer, roles) },',
    becomes: '',
    test: rows,
    name: 'escalationHook (A5)',
  },
  {
    row: 'A5',
    file: 'apiserver/admission/run-escalation.ts',
    text: 'if (aggregates && escalation(identity, held, everything) !== undefined) {',
    becomes: 'if (false) {',
    test: rights,
    name: 'check: who collects rules by labels',
  },
  {
    row: 'A5',
    file: 'apiserver/admission/run-escalation.ts',
    text: 'if ((await authorizer.decide(change.identity, asked)).allowed) return undefined',
    becomes: 'return undefined',
    test: rights,
    name: 'nobody gives away more than they hold (A5)',
  },
  {
    row: 'A6',
    file: 'apiserver/authorize.ts',
    text: "return name === '' ? no('No Object name found') : { kind: 'ifUsedOn', node }",
    becomes: 'return yes',
    test: nodes,
    name: 'authorizeNode/related',
  },
  {
    row: 'A6',
    file: 'apiserver/admission/noderestriction.ts',
    text: 'if (!equalJson(next.metadata.ownerReferences ?? [], old?.metadata.ownerReferences ?? [])) {',
    becomes: 'if (false) {',
    test: nodes,
    name: 'owners, with which it could delete itself',
  },
  {
    row: 'A6',
    file: 'apiserver/admission/noderestriction.ts',
    text: "if (isUnder(domain, 'node-restriction.kubernetes.io')) return true",
    becomes: 'return false',
    test: nodes,
    name: 'labels that steer pods',
  },
  {
    row: 'A6',
    file: 'apiserver/admission/noderestriction.ts',
    text: "if (kind !== 'Pod' || name === '') throw no('node requested token not bound to a pod')",
    becomes: '',
    test: nodes,
    name: 'checkToken',
  },
  {
    row: 'A6',
    file: 'apiserver/admission/noderestriction.ts',
    text: 'if (!equalJson(next.metadata.labels ?? {}, old.metadata.labels ?? {})) {',
    becomes: 'if (false) {',
    test: nodes,
    name: 'checkOwn, checkStatus',
  },
  {
    row: 'A7',
    file: 'apiserver/write.ts',
    text: "{ verb: 'UPDATE', object: next, old }",
    becomes: "{ verb: 'UPDATE', object: next, old: next }",
    test: rows,
    name: 'admission (A7',
  },
  ...(
    [
      ['audience: [...audiences],', '', 'is for another audience'],
      ['issuer: config.issuer,\n        audience', 'audience', 'is of another issuer'],
      ["requiredClaims: ['exp', 'sub'],", '', 'never expires'],
      [
        'currentDate: new Date(world.clock.nowMs()),',
        "currentDate: new Date(world.clock.nowMs()), clockTolerance: '10m',",
        'has expired',
      ],
      ['if (payload.sub !== `system:serviceaccount:${namespace}:${name}`) return undefined', '', 'names another'],
      ['return uid === what.uid && !ended', 'return !ended', 'a namesake made later is another'],
      ["if (pod && !(await living('Pod', namespace, pod))) return undefined", '', 'it ends with the pod'],
      [
        'jwtVerify<Claims>(token, key.open, {',
        '({ verify: async (given: string) => ({ payload: JSON.parse(Buffer.from(given.split(".")[1] ?? "", "base64url").toString()) }) }).verify(token, key.open, {',
        'a key of somebody else',
      ],
    ] as const
  ).map(
    ([text, becomes, name]): Guard => ({ row: 'A8', file: 'apiserver/run-auth.ts', text, becomes, test: tokens, name }),
  ),
  {
    row: 'A9',
    file: 'apiserver/audit.ts',
    text: "if (group === 'authentication.k8s.io') return true",
    becomes: 'return false',
    test: 'conformance/api/audit.test.ts',
    name: 'isSensitive (A9)',
  },
  {
    row: 'A9',
    file: 'apiserver/run.ts',
    text: 'if (!allowed) throw forbidden(identity, attributes, why)',
    becomes: '',
    test: reach,
    name: 'demand (A9)',
  },
  {
    row: 'A10',
    file: 'apiserver/run-bootstraptoken.ts',
    text: 'left.length === right.length && timingSafeEqual(left, right)',
    becomes: 'left.every((byte, i) => byte === right[i])',
    test: timing,
    name: 'isSame: the time to compare',
  },
  {
    row: 'A10',
    file: 'node/token.ts',
    text: 'a.length === b.length && timingSafeEqual(a, b)',
    becomes: 'a.every((byte, i) => byte === b[i])',
    test: timing,
    name: 'sameBytes: nor does that',
  },
  {
    row: 'A10',
    file: 'apiserver/run-bootstraptoken.ts',
    text: "if (!isSame(field(secret, 'token-secret'), given))",
    becomes: "const tokenSecret = field(secret, 'token-secret')\n  if (tokenSecret !== given)",
    test: timing,
    name: 'timingSafeEqual: no secret is compared',
  },
  {
    row: 'A11',
    file: 'apiserver/admission/podsecurity.ts',
    text: 'if (found.length === 0) return warned(described, policy)\n  const why',
    becomes: 'return warned(described, policy)\n  const why',
    test: 'conformance/api/pod-security.test.ts',
    name: 'restricted refuses a plain pod',
  },
  {
    row: 'A11',
    file: 'apiserver/admission/podsecurity.ts',
    text: "const podDoors = [undefined, 'ephemeralcontainers', 'resize']",
    becomes: "const podDoors = [undefined, 'resize']",
    test: 'conformance/api/pod-security.test.ts',
    name: 'a container that is added for debugging',
  },
  {
    row: 'A12',
    file: 'apiserver/run.ts',
    text: '{ hook: externalIpsHook(authorizer) },',
    becomes: '',
    test: reach,
    name: 'externalIpsHook (A12',
  },
  {
    row: 'A12',
    file: 'apiserver/admission/chain.ts',
    text: '{ plugin: specialAddresses },',
    becomes: '',
    test: reach,
    name: 'specialAddresses (A12',
  },
  {
    row: 'A13',
    file: 'apiserver/run.ts',
    text: 'if (!allowed) throw forbidden(identity, attributes, why)',
    becomes: '',
    test: rows,
    name: 'demand (A13',
  },
  {
    row: 'A14',
    file: 'apiserver/run.ts',
    text: 'if (!allowed) throw forbidden(identity, attributes, why)',
    becomes: '',
    test: rows,
    name: 'demand (A14)',
  },
  {
    row: 'A15',
    file: 'apiserver/run.ts',
    text: 'const known = shown instanceof Promise ? await shown : shown',
    becomes: "const known = (await shown) ?? { user: 'somebody', groups: ['system:masters'] }",
    test: rows,
    name: 'authenticate (A15, A13)',
  },
  {
    row: 'A16',
    file: 'drivers/http/serve.ts',
    // A server that makes a certificate for any name it is asked for.
    text: '    handshakeTimeout: 10_000,\n',
    becomes: `    SNICallback: (name, done) => {
      import('../../../test/apiserver/certificates.ts').then(async made => {
        const { createSecureContext } = await import('node:tls')
        done(null, createSecureContext(await (await made.certificates()).serverNamed(name)))
      })
    },
`,
    test: wire,
    name: 'SNI (A16',
  },
  {
    row: 'D1',
    file: 'api/patch/json.ts',
    text: 'if (work.copiedBytes > copiedBytesMax) {',
    becomes: 'if (false) {',
    test: load,
    name: 'jsonPatch (D1',
  },
  {
    row: 'D1',
    file: 'api/patch/json.ts',
    text: 'if (patch.length > operationCountMax) {',
    becomes: 'if (false) {',
    test: 'conformance/api/patch.test.ts',
    name: 'more than 10,000 operations',
  },
  {
    row: 'D2',
    file: 'api/reader.ts',
    text: 'maxAliasCount: 100',
    becomes: 'maxAliasCount: -1',
    test: 'apiserver/http.test.ts',
    name: 'bombs are refused at once',
  },
  {
    row: 'D2',
    file: 'apiserver/decode.ts',
    text: 'if (byteCount <= yamlHereBytesMax) {',
    becomes: 'if (byteCount <= yamlBytesMax) {',
    test: 'apiserver/http.test.ts',
    name: 'what is long is read beside the event loop',
  },
  {
    row: 'D2',
    file: 'apiserver/decode.ts',
    text: 'if (depth > yamlDepthMax)',
    becomes: 'if (depth > 1e9)',
    test: load,
    name: 'yamlDepthMax (D2',
  },
  {
    row: 'D3',
    file: 'apiserver/telemetry.ts',
    text: 'if (!known.has(`${group}/${version}/${resource}`))',
    becomes: 'if (false)',
    test: 'conformance/api/telemetry.test.ts',
    name: 'nobody makes it remember more by asking for what is not there (D3)',
  },
  {
    row: 'D3',
    file: 'apiserver/options.ts',
    text: 'if (labelSelector.length + fieldSelector.length > selectorLengthMax) {',
    becomes: 'if (false) {',
    test: load,
    name: 'selectorsOf (D3',
  },
  {
    row: 'D5',
    file: 'apiserver/run.ts',
    text: 'const entered = isLong(asked) ? undefined : fairness.enter(identity, attributes, request)',
    becomes: 'const entered = undefined as { headers?: Record<string, string>; [Symbol.dispose](): void } | undefined',
    test: 'conformance/api/fairness.test.ts',
    name: 'fairness.enter (D5)',
  },
  {
    row: 'D5',
    file: 'apiserver/limits.ts',
    text: 'this.#count(own) >= limits[kind].user',
    becomes: 'false',
    test: 'conformance/api/fairness.test.ts',
    name: 'limiter.enter (D5)',
  },
  {
    row: 'D6',
    file: 'apiserver/run.ts',
    text: '{ hook: eventRateHook(world) },',
    becomes: '',
    test: 'conformance/api/event-rate-limit.test.ts',
    name: 'EventRateLimit (D6)',
  },
  {
    row: 'D7',
    file: 'apiserver/limits.ts',
    text: 'this.#count(own) >= limits[kind].user',
    becomes: 'false',
    test: reach,
    name: 'place (D7',
  },
  {
    row: 'D7',
    file: 'apiserver/run.ts',
    text: 'if (!allowed) throw forbidden(identity, attributes, why)',
    becomes: '',
    test: reach,
    name: 'place (D7',
  },
  {
    row: 'B1',
    file: 'apiserver/run.ts',
    text: 'const known = shown instanceof Promise ? await shown : shown',
    becomes: "const known = (await shown) ?? { user: 'somebody', groups: ['system:masters'] }",
    test: wire,
    name: 'names (B1',
  },
  {
    row: 'B2',
    file: 'apiserver/run.ts',
    text: 'checkSite(request)',
    becomes: '',
    test: wire,
    name: 'checkSite (B2): with the certificate',
  },
  {
    row: 'B2',
    file: 'apiserver/run-auth.ts',
    text: "const bearer = /^Bearer +(\\S+)$/i.exec(headers['authorization'] ?? '')?.[1]",
    becomes:
      "headers['authorization'] ??= /Bearer \\S+/.exec(headers['cookie'] ?? '')?.[0]\n  const bearer = /^Bearer +(\\S+)$/i.exec(headers['authorization'] ?? '')?.[1]",
    test: rows,
    name: 'authenticate (B2, B5)',
  },
  {
    row: 'B3',
    file: 'apiserver/crosssite.ts',
    text: "if (upgrade === undefined && (method === 'GET' || method === 'HEAD')) return",
    becomes: "if (method === 'GET' || method === 'HEAD') return",
    test: wire,
    name: 'checkSite (B3)',
  },
  {
    row: 'B4',
    file: 'drivers/http/respond.ts',
    text: ", 'x-content-type-options': 'nosniff' }",
    becomes: ' }',
    test: wire,
    name: 'always (B4, B5)',
  },
  {
    row: 'B5',
    file: 'apiserver/run-auth.ts',
    text: "const bearer = /^Bearer +(\\S+)$/i.exec(headers['authorization'] ?? '')?.[1]",
    becomes:
      "const bearer = /^Bearer +(\\S+)$/i.exec(headers['authorization'] ?? '')?.[1] ?? new URLSearchParams(request.query).get('access_token') ?? undefined",
    test: rows,
    name: 'authenticate (B2, B5)',
  },
  ...(
    [
      // A body over HTTP/1.1 has two bounds, and each is enough; over HTTP/2 it has this one.
      ['    ...http1(bounds),\n', '', 'headers that come a byte at a time'],
      ['    }, timeoutMs)', '    }, 1e9)', 'bounds: one over HTTP/2 neither'],
      ["  stream.on('finish', () => stream.close(http2.NGHTTP2_NO_ERROR))", '', 'bounds: one over HTTP/2 neither'],
      ['    if (count >= bounds.connectionsPerAddress) {', '    if (false) {', 'of one address there are only so many'],
      [
        '    maxSessionMemory: 128,',
        '    maxSessionMemory: 128,\n    streamResetBurst: 1e9,\n    streamResetRate: 1e9,',
        'rapid resets',
      ],
    ] as const
  ).map(
    ([text, becomes, name]): Guard => ({ row: 'slow', file: 'drivers/http/serve.ts', text, becomes, test: wire, name }),
  ),
]
