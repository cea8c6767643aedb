// A program on the npm client etcd3: puts, transactions, watches, leases, locks, elections and software transactions.
import { once } from 'node:events'
import { Etcd3, EtcdLeaseInvalidError, type SortTarget, STMConflictError } from 'etcd3'
import type { System } from './systems.ts'

/** Everything that the program saw, in its order. */
export async function program(system: Pick<System, 'endpoints'>): Promise<unknown[]> {
  const client = new Etcd3({ hosts: system.endpoints.map(endpoint => `http://${endpoint}`) })
  const log: unknown[] = []
  try {
    await keys(client, log)
    await transactions(client, log)
    await watches(client, log)
    await leases(client, log)
    await locks(client, log)
    await elections(client, log)
    await software(client, log)
    await ask(client, log)
    log.push('the end')
  } finally {
    client.close()
  }
  return log
}

async function keys(client: Etcd3, log: unknown[]): Promise<void> {
  await client.put('a').value('1')
  await client.put('b').value(Buffer.from([0, 255, 128, 10]))
  await client.put('c').value('ünïcode')
  for (let i = 0; i < 30; i++) await client.put(`n/${i}`).value(`${i}`)
  log.push(await client.get('a').string(), await client.get('b').buffer(), await client.get('c').string())
  log.push(await client.get('nothing'), await client.get('a').exists())
  log.push(await client.getAll().prefix('n/').keys(), await client.getAll().prefix('n/').count())
  log.push(await client.getAll().prefix('n/').sort('Mod', 'Descend').limit(5).strings())
  log.push(
    await client
      .getAll()
      .prefix('n/')
      .sort('Value' as keyof typeof SortTarget, 'Ascend')
      .limit(5)
      .numbers(),
  )
  const { previous } = await client
    .put('a')
    .value('2')
    .getPrevious()
    .then(kv => ({ previous: kv.value.toString() }))
  log.push(previous)
  const response = await client.get('a').exec()
  log.push(response.kvs.map(kv => [kv.key.toString(), kv.version, kv.create_revision, kv.mod_revision]))
  log.push(response.header.revision, await client.get('a').revision(2).string())
  log.push((await client.delete().key('a').getPrevious()).map(kv => kv.value.toString()))
  log.push((await client.delete().prefix('n/')).deleted)
  const namespace = client.namespace('space/')
  await namespace.put('x').value('inside')
  log.push(await namespace.getAll().strings(), await client.getAll().prefix('space/').strings())
}

async function transactions(client: Etcd3, log: unknown[]): Promise<void> {
  const attempt = () =>
    client
      .if('t', 'Create', '==', 0)
      .then(client.put('t').value('made'), client.put('t2').value('made too'))
      .else(client.get('t'))
      .commit()
  for (let i = 0; i < 2; i++) {
    const { succeeded, responses, header } = await attempt()
    log.push(succeeded, responses.map(Object.keys), header.revision)
  }
  const compared = await client
    .if('t', 'Value', '==', 'made')
    .and('t', 'Version', '<', 2)
    .then(client.delete().key('t'))
    .commit()
  log.push(compared.succeeded)
}

async function watches(client: Etcd3, log: unknown[]): Promise<void> {
  const seen: unknown[] = []
  const watcher = await client.watch().prefix('w/').create()
  const ended = new Promise<void>(resolve => {
    watcher.on('data', response => {
      for (const { type, kv } of response.events) {
        seen.push([type, kv.key.toString(), kv.value.toString(), kv.mod_revision])
        if (kv.key.toString() === 'w/end') resolve()
      }
    })
  })
  await client.put('w/1').value('a')
  await client.put('other').value('unseen')
  await client.if('w/1', 'Version', '==', 1).then(client.put('w/2').value('b'), client.delete().key('w/1')).commit()
  await client.put('w/end').value('')
  await ended
  log.push(seen)
  const { header } = await client.get('w/1').exec()
  await watcher.cancel()
  // From the past, and only deletions.
  const past: unknown[] = []
  const old = client.watch().prefix('w/').startRevision('1').only('delete').withPreviousKV().watcher()
  const [kv, previous] = await once(old, 'delete')
  past.push(kv.key.toString(), previous?.value.toString())
  await old.cancel()
  log.push(past, header.revision)
}

async function leases(client: Etcd3, log: unknown[]): Promise<void> {
  const lease = client.lease(30)
  await lease.put('l/1').value('leased')
  await lease.put('l/2').value('leased')
  await lease.keepaliveOnce()
  const facts = await client.leaseClient.leaseTimeToLive({ ID: await lease.grant(), keys: true })
  log.push(facts.grantedTTL, facts.keys.map(key => key.toString()).sort(), Number(facts.TTL) > 20)
  await lease.revoke()
  log.push(await client.getAll().prefix('l/').keys())
  // One that is lost without its holder's doing.
  const lost = client.lease(30)
  const id = await lost.grant()
  await client.leaseClient.leaseRevoke({ ID: id })
  const why = await lost.keepaliveOnce().then(
    () => 'alive',
    error => error instanceof EtcdLeaseInvalidError,
  )
  log.push(why)
  await lost.revoke().catch(() => {
    // It is gone already.
  })
}

async function locks(client: Etcd3, log: unknown[]): Promise<void> {
  const held = client.lock('mutex')
  await held.acquire()
  const failure = await client
    .lock('mutex')
    .acquire()
    .then(
      () => 'acquired twice',
      error => error.constructor.name,
    )
  log.push(failure)
  await held.release()
  log.push(await client.lock('mutex').do(async () => 'held in turn'))
}

async function elections(client: Etcd3, log: unknown[]): Promise<void> {
  const election = client.election('office', 30)
  const campaign = election.campaign('first')
  await once(campaign, 'elected')
  log.push(await election.leader())
  const second = election.campaign('second')
  const elected = once(second, 'elected')
  await campaign.resign()
  await elected
  log.push(await election.leader())
  await second.resign()
  log.push(await election.leader())
}

async function software(client: Etcd3, log: unknown[]): Promise<void> {
  await client.put('counter').value('0')
  const increment = () =>
    client.stm({ retries: 50 }).transact(async tx => {
      const value = Number(await tx.get('counter').number())
      await tx.put('counter').value(value + 1)
    })
  const done = await Promise.allSettled([1, 2, 3, 4, 5].map(increment))
  const failed = done.filter(one => one.status === 'rejected' && !(one.reason instanceof STMConflictError))
  const successes = done.filter(one => one.status === 'fulfilled').length
  // However many conflicts there were: as many increments as were said to be done.
  log.push(failed, Number(await client.get('counter').number()) === successes)
}

async function ask(client: Etcd3, log: unknown[]): Promise<void> {
  const members = await client.cluster.memberList({ linearizable: true })
  log.push(members.members.map(one => one.name).sort())
  const status = await client.maintenance.status()
  log.push(status.version, status.leader !== '0')
  const alarms = await client.maintenance.alarm({ action: 'Get', memberID: 0, alarm: 'None' })
  log.push(alarms.alarms)
  const { header } = await client.get('x').exec()
  await client.kv.compact({ revision: header.revision })
  const refused = await client
    .get('counter')
    .revision(2)
    .exec()
    .then(
      () => 'read',
      (error: Error) => [error.constructor.name, error.message],
    )
  log.push(refused)
}
