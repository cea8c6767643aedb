// The functions that Kubernetes 1.33 gives to every expression (apiserver/pkg/cel/environment/base.go).
import type { Library } from '../../../lib/cel/env.ts'
import { regexLibrary } from './regex.ts'

export const kubernetesLibraries: readonly Library[] = [regexLibrary]
