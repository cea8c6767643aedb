// Before what cannot be taken back: the cluster's name has to be typed, or given by a script that knows what it does.
import * as readline from 'node:readline/promises'
import { Option } from 'commander'

export function yesClusterOption(): Option {
  return new Option('--yes-cluster <name>', "the cluster's name, given here instead of typed: for scripts")
}

/** Resolves when the name was given; rejects otherwise. */
export async function confirmCluster(clusterName: string, given: string | undefined): Promise<void> {
  let said = given
  if (said === undefined) {
    if (!process.stdin.isTTY) {
      throw new Error(`there is no terminal to ask on: say --yes-cluster ${clusterName} if this is what you want`)
    }
    const terminal = readline.createInterface({ input: process.stdin, output: process.stderr })
    said = (await terminal.question(`Type the name of the cluster, ${clusterName}, to go on: `)).trim()
    terminal.close()
  }
  if (said !== clusterName) throw new Error(`the cluster is called ${clusterName}, not ${said}: nothing was changed`)
}
