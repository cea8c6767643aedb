// CronJob (batch/v1): Jobs at the times of a schedule.
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

const caution = 'CronJobs are stored, but no controller of this version makes their Jobs'

export const jobTemplateSpec = s.object(
  'io.k8s.api.batch.v1.JobTemplateSpec',
  {
    metadata: s.of(1, objectMeta, {
      default: {},
      description: 'Labels and annotations of the Jobs. Their names are made from that of the CronJob.',
    }),
    spec: s.of(2, jobSpec, { default: {}, description: 'What each Job does. Its selector is left to the server.' }),
  },
  { description: 'The Job that is made each time.' },
)
export type JobTemplateSpec = TypeOf<typeof jobTemplateSpec>
export const cronJobSpec = s.object(
  'io.k8s.api.batch.v1.CronJobSpec',
  {
    schedule: s.string(1, {
      required: true,
      description:
        'Minute, hour, day of month, month and day of week, as in 30 4 * * 1-5; or @hourly, @daily, @weekly, @monthly, @yearly.',
    }),
    startingDeadlineSeconds: s.int64(2, {
      pointer: true,
      description: 'Seconds for which a start that was missed may be made up for; absent, without end.',
    }),
    concurrencyPolicy: s.oneOf(3, ['Allow', 'Forbid', 'Replace'], {
      default: 'Allow',
      description:
        'When the Job before still runs: Allow starts the next beside it, Forbid leaves it out, Replace removes the one before.',
    }),
    suspend: s.boolean(4, {
      pointer: true,
      default: false,
      description: 'True starts no more Jobs; those that run go on. False by default.',
    }),
    jobTemplate: s.of(5, jobTemplateSpec, { required: true, description: 'The Job to start.' }),
    successfulJobsHistoryLimit: s.int32(6, {
      pointer: true,
      default: 3,
      description: 'Number of complete Jobs that are kept; 3 by default, 0 keeps none.',
    }),
    failedJobsHistoryLimit: s.int32(7, {
      pointer: true,
      default: 1,
      description: 'Number of failed Jobs that are kept; 1 by default, 0 keeps none.',
    }),
    timeZone: s.string(8, {
      pointer: true,
      description:
        'Name from the IANA database in whose time the schedule is meant, as in Europe/Berlin; absent, that of the controller.',
    }),
  },
  { description: 'Which Job is started, and when.' },
)
export type CronJobSpec = TypeOf<typeof cronJobSpec>
export const cronJobStatus = s.object(
  'io.k8s.api.batch.v1.CronJobStatus',
  {
    active: s.list(1, objectReference, 'Jobs that run now.'),
    lastScheduleTime: s.time(4, 'The time of the schedule for which a Job was started last.'),
    lastSuccessfulTime: s.time(5, 'When one of its Jobs was last complete.'),
  },
  { description: 'What has been started.' },
)
export type CronJobStatus = TypeOf<typeof cronJobStatus>
export const cronJobSchema = s.object(
  'io.k8s.api.batch.v1.CronJob',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name (52 characters at most), namespace, labels and the like.',
    }),
    spec: s.of(2, cronJobSpec, { default: {}, description: 'What is to be started, and when.' }),
    status: s.of(3, cronJobStatus, { default: {}, description: 'What has been started.' }),
  },
  { description: `Starts a Job whenever its schedule says so. ${caution}.` },
)
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
  caution,
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
