// `flotilla token`: what another machine joins with.
import type { Command } from 'commander'
import { ask } from './control.ts'
import { dataDirOption } from './options.ts'
import { table } from './table.ts'

type TokenInfo = { readonly id: string; readonly expires: string; readonly usesLeft?: number }

export function addTokenCommand(program: Command): void {
  const token = program.command('token').description('join strings: make, list, revoke')
  token
    .command('create')
    .description('make a join string; it can be used until it expires or is revoked')
    .addOption(dataDirOption())
    .option('--ttl <hours>', 'how long it is good for', '24')
    .option('--replaces <node>', 'for the return of this node on a machine that lost its key, or on another one')
    .option('-q, --quiet', 'print the join string alone')
    .addHelpText('after', '\nExample:\n  flotilla token create --ttl 2\n  flotilla token create --replaces pi3')
    .action(async (options: { dataDir: string; ttl: string; replaces?: string; quiet?: boolean }) => {
      const ttlMs = Number(options.ttl.replace(/h$/, '')) * 3_600_000
      if (!(ttlMs > 0)) throw new Error(`--ttl ${options.ttl}: say a number of hours`)
      const made = await ask<{ token: string; expires: string; datastore?: readonly string[] }>(
        options.dataDir,
        'POST',
        '/tokens',
        {
          ttlMs,
          ...(options.replaces !== undefined && { replaces: options.replaces }),
        },
      )
      if (options.quiet === true) {
        console.log(made.token)
        return
      }
      const name = options.replaces === undefined ? '' : ` --name ${options.replaces}`
      // Certificates for it lie elsewhere on each machine.
      const store = made.datastore === undefined ? '' : ` --datastore ${made.datastore.join(' ')}`
      console.log(
        `Good until ${made.expires}. On the other machine:\n\n  flotilla join${name}${store} --token ${made.token}\n`,
      )
    })
  token
    .command('list')
    .description('the join strings that are good now, without their secrets')
    .addOption(dataDirOption())
    .addHelpText('after', '\nExample:\n  flotilla token list')
    .action(async (options: { dataDir: string }) => {
      const tokens = await ask<readonly TokenInfo[]>(options.dataDir, 'GET', '/tokens')
      console.log(
        table(
          ['ID', 'EXPIRES', 'USES LEFT'],
          tokens.map(one => [one.id, one.expires, String(one.usesLeft ?? 'any')]),
        ),
      )
    })
  token
    .command('revoke <id>')
    .description('make a join string worthless')
    .addOption(dataDirOption())
    .addHelpText('after', '\nExample:\n  flotilla token revoke 4k2m9x')
    .action(async (id: string, options: { dataDir: string }) => {
      await ask(options.dataDir, 'DELETE', `/tokens/${encodeURIComponent(id)}`)
      console.log(`token ${id} is worthless now`)
    })
}
