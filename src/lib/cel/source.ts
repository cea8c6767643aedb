// Where something in an expression is wrong, and how it is shown: cel-go's form, which users see in statuses.

/** Something that keeps an expression from compiling. */
export type Issue = {
  /** A UTF-16 offset in the source. */
  readonly offset: number
  readonly message: string
}

/**
 * All issues, each with its line and a mark below the place:
 * ERROR: <input>:1:5: undefined field 'x'
 *  | self.x
 *  | ....^
 */
export function showIssues(source: string, issues: readonly Issue[]): string {
  const shown = issues
    .slice(0, shownCountMax)
    .toSorted((a, b) => a.offset - b.offset)
    .map(issue => showIssue(source, issue))
  const more = issues.length - shownCountMax
  return [...shown, ...(more > 0 ? [`${more} more errors were truncated`] : [])].join('\n')
}

const shownCountMax = 100

function showIssue(source: string, { offset, message }: Issue): string {
  const before = source.slice(0, offset)
  const line = before.split('\n').length
  const start = before.lastIndexOf('\n') + 1
  const left = [...source.slice(start, offset)]
  const end = source.indexOf('\n', start)
  const text = (end === -1 ? source.slice(start) : source.slice(start, end)).replaceAll('\t', ' ')
  const dots = left.map(char => (isWide(char) ? '．' : '.')).join('')
  const mark = isWide(source.slice(offset, offset + 1)) ? '＾' : '^'
  return `ERROR: <input>:${line}:${left.length + 1}: ${message}\n | ${text}\n | ${dots}${mark}`
}

/** Of more than one byte, which cel-go takes for a wide one. */
const isWide = (char: string): boolean => char > '\x7f'
