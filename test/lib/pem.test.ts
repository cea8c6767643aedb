import { expect, test } from 'vitest'
import { derOf, pemBlocks } from '../../src/lib/pem.ts'

const block = (type: string, body: string) => `-----BEGIN ${type}-----\n${body}\n-----END ${type}-----\n`

test('blocks are found in order, among other text', () => {
  const text = `subject: a\n${block('CERTIFICATE', 'YQ==')}then\n${block('EC KEY', 'Yg==')}`
  expect(pemBlocks(text)).toEqual([
    { type: 'CERTIFICATE', body: '\nYQ==\n', text: block('CERTIFICATE', 'YQ==').trimEnd() },
    { type: 'EC KEY', body: '\nYg==\n', text: block('EC KEY', 'Yg==').trimEnd() },
  ])
})

test('what has no end is no block', () => {
  expect(pemBlocks('-----BEGIN A-----\nYQ==\n-----END B-----')).toEqual([])
  expect(pemBlocks('-----BEGIN A')).toEqual([])
  expect(pemBlocks(`${block('A', 'YQ==')}-----BEGIN B-----\n`).map(({ type }) => type)).toEqual(['A'])
})

test('three megabytes of beginnings are read in one pass', () => {
  const lines = Array.from({ length: 150_000 }, (_, i) => `-----BEGIN ${i}-----`)
  expect(pemBlocks(block('A', 'YQ==') + lines.join('\n'))).toHaveLength(1)
})

test('only a SEQUENCE in base64 is DER', () => {
  const read = (body: string) => derOf({ type: 'A', body, text: '' })
  expect(read('\nMAA=\n')).toEqual(new Uint8Array([0x30, 0]))
  for (const wrong of ['', 'AQID', 'MAA', 'MA*=', 'Proc-Type: 4\n\nMAA=']) expect(read(wrong)).toBeUndefined()
})
