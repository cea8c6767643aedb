// What the conditions of several kinds are made of.
import { s } from '../schema.ts'

export const conditionFields = {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it holds.' }),
  type: s.string(1, {
    required: true,
    description: 'What it is about; there is at most one condition of each type.',
  }),
  lastTransitionTime: s.time(3, 'When status last took another value.'),
  reason: s.string(4, 'Why, in one word for programs.'),
  message: s.string(5, 'Why, in a sentence for people.'),
}
