// Where the clocks of a run are bent: the shim is one for all members, the file that moves the time is each one's own.
import { join } from 'node:path'

export const shimOf = (runDir: string) => join(runDir, 'clock.so')
export const clockFileOf = (memberDir: string) => join(memberDir, 'clock')
