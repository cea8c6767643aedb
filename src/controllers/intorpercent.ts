// '25%' or 3, of a total. After apimachinery/pkg/util/intstr.

export function scaled(value: number | string, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value
  const percent = /^(\d+)%$/.exec(value)
  if (!percent) throw new RangeError(`neither a number nor a percentage: ${JSON.stringify(value)}`)
  const exact = (Number(percent[1]) * total) / 100
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact)
}
