// The functions that Kubernetes 1.33 gives to every expression (apiserver/pkg/cel/environment/base.go).
import type { Library } from '../../../lib/cel/env.ts'
import { authorizerLibrary } from './authorizer.ts'
import { formatLibrary } from './formats.ts'
import { ipLibrary } from './ip.ts'
import { listLibrary } from './lists.ts'
import { quantityLibrary } from './quantity.ts'
import { regexLibrary } from './regex.ts'
import { semverLibrary } from './semver.ts'
import { setLibrary } from './sets.ts'
import { stringLibrary } from './strings.ts'
import { urlLibrary } from './url.ts'

export const kubernetesLibraries: readonly Library[] = [
  urlLibrary,
  regexLibrary,
  listLibrary,
  authorizerLibrary,
  quantityLibrary,
  stringLibrary,
  setLibrary,
  ipLibrary,
  formatLibrary,
  semverLibrary,
]
