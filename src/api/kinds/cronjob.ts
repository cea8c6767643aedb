// CronJob (batch/v1).
import { age } from '../../lib/duration.ts'
import { ageColumn, containerColumns, selectorText } from '../cells.ts'
import { parseCron } from '../cron.ts'
import { addAll, invalidValue, notSupported } from '../field.ts'
import { validateJobTemplate } from '../jobs.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'
import { validateCounts } from '../workload.ts'
import { jobSpec } from './job.ts'

export const jobTemplateSpec = s.object('io.k8s.api.batch.v1.JobTemplateSpec', {
  metadata: s.of(1, objectMeta, { default: {} }),
  spec: s.of(2, jobSpec, { default: {} }),
})
export type JobTemplateSpec = TypeOf<typeof jobTemplateSpec>
export const cronJobSpec = s.object('io.k8s.api.batch.v1.CronJobSpec', {
  schedule: s.string(1, { required: true }),
  startingDeadlineSeconds: s.int64(2, { pointer: true }),
  concurrencyPolicy: s.oneOf(3, ['Allow', 'Forbid', 'Replace'], { default: 'Allow' }),
  suspend: s.boolean(4, { pointer: true, default: false }),
  jobTemplate: s.of(5, jobTemplateSpec, { required: true }),
  successfulJobsHistoryLimit: s.int32(6, { pointer: true, default: 3 }),
  failedJobsHistoryLimit: s.int32(7, { pointer: true, default: 1 }),
  timeZone: s.string(8, { pointer: true }),
})
export type CronJobSpec = TypeOf<typeof cronJobSpec>
export const cronJobStatus = s.object('io.k8s.api.batch.v1.CronJobStatus', {
  active: s.list(1, objectReference),
  lastScheduleTime: s.time(4),
  lastSuccessfulTime: s.time(5),
})
export type CronJobStatus = TypeOf<typeof cronJobStatus>
export const cronJobSchema = s.object('io.k8s.api.batch.v1.CronJob', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, cronJobSpec, { default: {} }),
  status: s.of(3, cronJobStatus, { default: {} }),
})
export type CronJob = TypeOf<typeof cronJobSchema>

/** A job's name is this one's with eleven letters of a time behind it, and becomes a pod's host name. */
const nameLengthMax = 52

function validateCronJob({ metadata, spec }: CronJob, old: CronJob | undefined): readonly FieldError[] {
  const errors: FieldError[] = [
    ...validateCounts({
      'spec.startingDeadlineSeconds': spec.startingDeadlineSeconds,
      'spec.successfulJobsHistoryLimit': spec.successfulJobsHistoryLimit,
      'spec.failedJobsHistoryLimit': spec.failedJobsHistoryLimit,
    }),
  ]
  if (!old && (metadata.name ?? '').length > nameLengthMax) {
    errors.push(invalidValue('metadata.name', metadata.name, `must be no more than ${nameLengthMax} characters`))
  }
  if (spec.schedule) {
    const schedule = parseCron(spec.schedule)
    if (typeof schedule === 'string') errors.push(invalidValue('spec.schedule', spec.schedule, schedule))
  }
  const job = spec.jobTemplate?.spec
  if (job) errors.push(...validateJobTemplate(job, 'spec.jobTemplate.spec'))
  if (job?.selector) {
    errors.push(invalidValue('spec.jobTemplate.spec.selector', job.selector, '`selector` will be auto-generated'))
  }
  if (job?.manualSelector === true) {
    errors.push(notSupported('spec.jobTemplate.spec.manualSelector', true, ['nil', 'false']))
  }
  if (spec.timeZone !== old?.spec.timeZone) addAll(errors, validateTimeZone(spec.timeZone))
  return errors
}

/** A name of the IANA database; each part of it is up to fourteen letters, digits and signs. */
function validateTimeZone(zone: string | undefined): readonly FieldError[] {
  if (zone === undefined) return []
  const at = 'spec.timeZone'
  if (zone === '') return [invalidValue(at, zone, 'timeZone must be nil or non-empty string')]
  const isWrong = zone.split('/').some(part => !/^(?![-])(?!\.{1,2}$)[A-Za-z.\-_0-9+]{1,14}$/.test(part))
  if (isWrong) return [invalidValue(at, zone, `unknown time zone ${zone}`)]
  if (zone.toLowerCase() === 'local') {
    const why = 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'
    return [invalidValue(at, zone, why)]
  }
  return isTimeZone(zone) ? [] : [invalidValue(at, zone, `unknown time zone ${zone}`)]
}

function isTimeZone(name: string): boolean {
  try {
    // It takes differences from UTC as well ('+0200'), which are no names.
    return new Intl.DateTimeFormat('en-US', { timeZone: name }) !== undefined && /^[A-Za-z]/.test(name)
  } catch {
    return false
  }
}

export const cronJob = defineKind({
  group: 'batch',
  version: 'v1',
  kind: 'CronJob',
  plural: 'cronjobs',
  shortNames: ['cj'],
  categories: ['all'],
  scope: 'Namespaced',
  caution: 'CronJobs are stored, but no controller of this version makes their Jobs',
  stored: true,
  subresources: ['status'],
  schema: cronJobSchema,
  columns: () => [
    { name: 'Schedule', type: 'string', cell: ({ spec }) => spec.schedule },
    { name: 'Timezone', type: 'string', cell: ({ spec }) => spec.timeZone || '<none>' },
    { name: 'Suspend', type: 'string', cell: ({ spec }) => (spec.suspend ? 'True' : 'False') },
    { name: 'Active', type: 'integer', cell: ({ status }) => (status?.active ?? []).length },
    {
      name: 'Last Schedule',
      type: 'string',
      cell: ({ status }, nowMs) => (status?.lastScheduleTime ? age(status.lastScheduleTime, nowMs) : '<none>'),
    },
    ageColumn,
    ...containerColumns<CronJob>(({ spec }) => spec.jobTemplate?.spec?.template?.spec),
    {
      name: 'Selector',
      type: 'string',
      priority: 1,
      cell: ({ spec }) => selectorText(spec.jobTemplate?.spec?.selector),
    },
  ],
  defaults: object => {
    const { jobTemplate } = object.spec
    if (!jobTemplate?.spec?.template) return object
    const template = templateDefaults(jobTemplate.spec.template)
    return {
      ...object,
      spec: { ...object.spec, jobTemplate: { ...jobTemplate, spec: { ...jobTemplate.spec, template } } },
    }
  },
  validate: validateCronJob,
})
