// What a request can say beside its object (meta/v1). Clients write these as query parameters; as bodies there are only
// DeleteOptions (meta.ts), but all of them have a form in both encodings.
// https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
import { s, scalars, type TypeOf } from '../schema.ts'

const dryRunText = 'All: everything is checked and answered as usual, and nothing is written. No other value is known.'
const fieldManagerText =
  'Who writes, for metadata.managedFields: up to 128 printable bytes; empty: the program in the User-Agent.'
const fieldValidationText =
  'Unknown and repeated fields are dropped: silently (Ignore), with a warning (Warn, when empty); Strict refuses them.'

export const createOptions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.CreateOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    dryRun: s.list(1, scalars.string, dryRunText),
    fieldManager: s.string(3, fieldManagerText),
    fieldValidation: s.string(4, fieldValidationText),
  },
  { description: 'Parameters of making an object.' },
)
export type CreateOptions = TypeOf<typeof createOptions>
export const getOptions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.GetOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    resourceVersion: s.string(
      1,
      'How new the answer must be: empty is the newest, 0 anything at hand, else that version or a later one.',
    ),
  },
  { description: 'Parameters of reading one object.' },
)
export type GetOptions = TypeOf<typeof getOptions>
export const listOptions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.ListOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    labelSelector: s.string(1, 'Only objects whose labels fit, as in app=web,tier!=db; empty: all.'),
    fieldSelector: s.string(
      2,
      'Only objects whose fields fit, as in status.phase=Running; which fields there are depends on the kind.',
    ),
    watch: s.boolean(3, 'Send each change as it happens instead of one list.'),
    resourceVersion: s.string(
      4,
      'Of a list, how new it must be; of a watch, where its changes begin. Empty: the newest, 0: anything at hand.',
    ),
    timeoutSeconds: s.int64(5, {
      pointer: true,
      description:
        'Seconds until the server ends a watch, at most a day; 0 or absent: between half an hour and an hour.',
    }),
    limit: s.int64(7, 'Most objects that one answer has; the others follow with continue. 0: all at once.'),
    continue: s.string(
      8,
      'Token out of the part before, with the same query otherwise. It expires when its state is forgotten (410).',
    ),
    allowWatchBookmarks: s.boolean(
      9,
      'Also send BOOKMARK events now and then: no change, only how far the watch has come.',
    ),
    resourceVersionMatch: s.string(
      10,
      'How a list takes resourceVersion, which it then needs: Exact, just that one; NotOlderThan, it or a later one.',
    ),
    sendInitialEvents: s.boolean(11, {
      pointer: true,
      description:
        'Begin a watch with all objects as ADDED, and a BOOKMARK when they are through. Needs resourceVersionMatch NotOlderThan.',
    }),
  },
  { description: 'Parameters of a list, a watch, or the deletion of many objects.' },
)
export type ListOptions = TypeOf<typeof listOptions>
export const patchOptions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.PatchOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    dryRun: s.list(1, scalars.string, dryRunText),
    force: s.boolean(2, {
      pointer: true,
      description: 'For server-side apply only: take over fields of other managers, which is a conflict otherwise.',
    }),
    fieldManager: s.string(
      3,
      'Who writes, up to 128 printable bytes. Server-side apply must say it; else empty means the program in the User-Agent.',
    ),
    fieldValidation: s.string(4, fieldValidationText),
  },
  { description: 'Parameters of a patch, server-side apply included.' },
)
export type PatchOptions = TypeOf<typeof patchOptions>
export const updateOptions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.UpdateOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    dryRun: s.list(1, scalars.string, dryRunText),
    fieldManager: s.string(2, fieldManagerText),
    fieldValidation: s.string(3, fieldValidationText),
  },
  { description: 'Parameters of replacing an object.' },
)
export type UpdateOptions = TypeOf<typeof updateOptions>
