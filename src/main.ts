// The command line. Each command is one file in cli/ and one line here; it is loaded when it is asked for.
import { Command } from 'commander'
import { addBackupCommand } from './cli/backup.ts'
import { addCheckCommand } from './cli/check.ts'
import { addDemoCommand } from './cli/demo.ts'
import { addLeaveCommand, addRejoinCommand, addRemoveCommand } from './cli/leave.ts'
import { addRecoverCommand } from './cli/recover.ts'
import { addRestoreCommand } from './cli/restore.ts'
import { addStatusCommand } from './cli/status.ts'
import { addTokenCommand } from './cli/token.ts'
import { addJoinCommand, addUpCommand } from './cli/up.ts'
import { version } from './cli/version.ts'

const program = new Command('flotilla')
  .description('A Kubernetes with no special node: every machine runs this program, and any of them is the cluster.')
  .version(version)
  // What stands behind a command is that command's.
  .enablePositionalOptions()
  .addHelpText(
    'after',
    `
Example:
  flotilla up                         the first machine
  flotilla token create               what a second machine joins with
  flotilla join --token <join string> the second machine
  flotilla status                     who is there, and who leads`,
  )

addUpCommand(program)
addJoinCommand(program)
addTokenCommand(program)
addStatusCommand(program)
addLeaveCommand(program)
addRemoveCommand(program)
addBackupCommand(program)
addRestoreCommand(program)
addRecoverCommand(program)
addRejoinCommand(program)
addCheckCommand(program)
addDemoCommand(program)

try {
  await program.parseAsync()
} catch (error) {
  console.error(`flotilla: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
}
