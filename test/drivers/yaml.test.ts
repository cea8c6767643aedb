// The thread that reads YAML: its answers are those of the parser itself, and whoever waits is always told.
import { afterEach, describe, expect, test } from 'vitest'
import { readYaml } from '../../src/api/parse.ts'
import { openYamlThread } from '../../src/drivers/yaml.ts'
import { bomb, mergeBomb } from '../conformance/api/bad-inputs.ts'

const never = new AbortController().signal
let stop = new AbortController()
afterEach(() => {
  stop.abort()
  stop = new AbortController()
})

describe('the thread that reads YAML', () => {
  test.each([
    'a: 1\nb: [x, yes, 2001-01-01]\n',
    'metadata:\n  name: x\n  name: y\n',
    'n: 9223372036854775807\n',
    '[{"a":1}]',
    '- - - 1\n',
  ])('says of %j what the parser says', async text => {
    const thread = openYamlThread(stop.signal)
    expect(await thread.read(text, never)).toEqual(readYaml(text, 'Strict'))
  })

  test.each(['a: b: c\n', 'a:\n\tb: c\n', 'a: 1\n---\nb: 2\n', bomb(), mergeBomb(), '[,,,]'])(
    'refuses %j in the words of the parser',
    async text => {
      const thread = openYamlThread(stop.signal)
      let message = ''
      try {
        readYaml(text, 'Strict')
      } catch (error) {
        message = (error as Error).message
      }
      expect(message).not.toBe('')
      await expect(thread.read(text, never)).rejects.toThrow(message)
    },
  )

  test('one after the other, each gets its own answer', async () => {
    const thread = openYamlThread(stop.signal)
    const reads = await Promise.all(Array.from({ length: 20 }, (_, i) => thread.read(`a: ${i}\n`, never)))
    expect(reads.map(({ value }) => value)).toEqual(Array.from({ length: 20 }, (_, i) => ({ a: i })))
  })

  test('a text that takes too long is refused, and the next is read by a new thread', async () => {
    const thread = openYamlThread(stop.signal, { readMsMax: 150, idleMsMax: 30_000 })
    const slow = thread.read(`[${','.repeat(500_000)}]`, never)
    const quick = thread.read('a: 1\n', never)
    await expect(slow).rejects.toThrow('takes over 150 ms; send JSON')
    // A slow machine may need longer than that to begin a thread: whoever is late is told so, and is not forgotten.
    await quick.then(
      ({ value }) => expect(value).toEqual({ a: 1 }),
      error => expect(String(error)).toContain('takes over 150 ms'),
    )
    const patient = openYamlThread(stop.signal)
    expect((await patient.read('a: 1\n', never)).value).toEqual({ a: 1 })
  })

  test('after an idle while the thread ends, and another begins when it is wanted', async () => {
    const thread = openYamlThread(stop.signal, { readMsMax: 30_000, idleMsMax: 1 })
    expect((await thread.read('a: 1\n', never)).value).toEqual({ a: 1 })
    await new Promise(resolve => setTimeout(resolve, 50))
    expect((await thread.read('a: 2\n', never)).value).toEqual({ a: 2 })
  })

  test('who gives up, and whoever waits when all ends, is told', async () => {
    const thread = openYamlThread(stop.signal)
    const gone = new AbortController()
    const slow = thread.read(`[${','.repeat(500_000)}]`, never)
    const waiting = thread.read('a: 1\n', gone.signal)
    gone.abort()
    await expect(waiting).rejects.toThrow('the client is gone')
    stop.abort()
    await expect(slow).rejects.toThrow('this peer is stopping')
    await expect(thread.read('a: 1\n', never)).rejects.toThrow('this peer is stopping')
  })
})
