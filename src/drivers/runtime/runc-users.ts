// Users of an image: what /etc/passwd and /etc/group inside it say. Called by runc.ts.
import { constants, lstat, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RuntimeError, type Security } from '../../world/runtime.ts'
import type { User } from './runc-spec.ts'

/** As Docker does: the spec's numbers over the image's words; groups of the user from /etc/group. */
export async function userOf(rootfs: string, security: Security, imageUser: string): Promise<User> {
  const passwd = (await readWithin(rootfs, 'etc/passwd')).map(line => line.split(':'))
  const groups = (await readWithin(rootfs, 'etc/group')).map(line => line.split(':'))
  const [userWord = '', groupWord] = imageUser.split(':')
  const wanted = security.uid === undefined ? userWord || '0' : String(security.uid)
  const entry = passwd.find(([name, , uid]) => name === wanted || uid === wanted)
  const uid = /^\d+$/.test(wanted) ? Number(wanted) : Number(entry?.[2] ?? Number.NaN)
  if (Number.isNaN(uid))
    throw new RuntimeError('CreateContainerError', `unable to find user ${wanted}: no matching entries in passwd file`)
  // The image's group goes with the image's user.
  const gid =
    security.gid ?? (security.uid === undefined ? groupNumber(groupWord, groups) : undefined) ?? Number(entry?.[3] ?? 0)
  const name = entry?.[0]
  const named = groups.filter(([, , , members = '']) => name !== undefined && members.split(',').includes(name))
  return {
    uid,
    gid,
    groups: [...new Set([...named.map(([, , id]) => Number(id)), ...security.supplementalGroups])],
    home: entry?.[5] || '/',
  }
}

function groupNumber(word: string | undefined, groups: readonly string[][]): number | undefined {
  if (word === undefined || word === '') return undefined
  if (/^\d+$/.test(word)) return Number(word)
  const found = groups.find(([name]) => name === word)?.[2]
  if (found === undefined)
    throw new RuntimeError('CreateContainerError', `unable to find group ${word}: no matching entries in group file`)
  return Number(found)
}

/** A link in the image must not make us read the host's file. */
async function readWithin(rootfs: string, name: string): Promise<readonly string[]> {
  try {
    if (!(await lstat(join(rootfs, dirname(name)))).isDirectory()) return []
    await using file = await open(join(rootfs, name), constants.O_RDONLY | constants.O_NOFOLLOW)
    return (await file.readFile('utf8')).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return []
    throw error
  }
}
