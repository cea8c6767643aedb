// Crash consistency (reliability-security.md, D4): whatever becomes of a log's files, a start ends in one of the outcomes
// it states, and none opens with something acknowledged gone. Here a part of each sweep, which is all of it with
// FLOTILLA_CRASH=long, in some minutes.
import { expect, test } from 'vitest'
import { type Counts, LostQuietly, table, total } from './crash-log.ts'
import {
  bendEverywhere,
  crashEverywhere,
  cutEverywhere,
  failEverywhere,
  filesAtRest,
  harmBeforeTheMark,
} from './crash-sweep.ts'

const isLong = process.env['FLOTILLA_CRASH'] === 'long'
const timeout = isLong ? 3_600_000 : 300_000

function tell(title: string, counts: Counts): void {
  console.log(table(title, counts))
  expect(total(counts)).toBeGreaterThan(100)
}

test('every file cut at every byte', { timeout }, async () => {
  tell('cut, at rest', await cutEverywhere(await filesAtRest(true), isLong ? 1 : 0.1))
})

test('every bit of every file bent', { timeout }, async () => {
  tell('bent, at rest', await bendEverywhere(await filesAtRest(true), isLong ? 1 : 0.02))
})

test('harm to the last append before the watermark is past it: a cut is always noticed', { timeout }, async () => {
  const counts = await harmBeforeTheMark(await filesAtRest(false), isLong ? 1 : 0.15)
  tell('cut or bent, before the watermark', counts)
  expect([...counts.keys()].filter(what => what.startsWith('cut') && what.includes('gap'))).toEqual([])
})

test('one operation after the other fails', { timeout }, async () => {
  tell('EIO and full disks', await failEverywhere(isLong ? 1 : 0.1))
})

test('a crash after every operation, and during recovery', { timeout }, async () => {
  for (const isQuick of [false, true]) {
    tell(`crashes, ${isQuick ? 'quick' : 'slow'} disk`, await crashEverywhere(isLong ? 2_048 : 6, isQuick))
  }
})

test('the sweep finds a sync that does nothing, and an append that is acknowledged too early', {
  timeout,
}, async () => {
  await expect(crashEverywhere(6, false, 'a sync does nothing')).rejects.toThrow('refused')
  await expect(crashEverywhere(6, false, 'an append is acknowledged when it begins')).rejects.toThrow(LostQuietly)
})
