// Long work in parts: between two of them a course yields, so that others may run.

export type Pausing<T> = Generator<undefined, T, unknown>

export function withoutPauses<T>(course: Pausing<T>): T {
  let step = course.next()
  while (!step.done) step = course.next()
  return step.value
}
