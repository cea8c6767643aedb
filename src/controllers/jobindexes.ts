// Sets of completion indexes as a Job's status spells them: '1,3-5,7'. Pure.

export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...new Set(indexes)].sort((a, b) => a - b)
  const parts: string[] = []
  for (let i = 0; i < sorted.length; ) {
    let last = i
    while (sorted[last + 1] === (sorted[last] ?? 0) + 1) last += 1
    // Two in a row are spelled out, as upstream does.
    if (last - i >= 2) parts.push(`${sorted[i]}-${sorted[last]}`)
    else parts.push(...sorted.slice(i, last + 1).map(String))
    i = last + 1
  }
  return parts.join(',')
}

/** Indexes from `below` on are left out: a Job may have been made smaller. */
export function parseIndexes(text: string | undefined, below: number): ReadonlySet<number> {
  const all = new Set<number>()
  for (const part of (text ?? '').split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part)
    if (!match) continue
    const first = Number(match[1])
    const last = Math.min(Number(match[2] ?? match[1]), below - 1)
    for (let index = first; index <= last; index++) all.add(index)
  }
  return all
}
