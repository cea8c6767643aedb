// Types for CEL from the schemas of built-in kinds (api/schema.ts), with which policies are checked against the kinds that
// they match: status.typeChecking of a ValidatingAdmissionPolicy. Evaluation reads plain JSON, see untyped.ts.
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  list,
  map,
  type ObjectType,
  string,
  type Type,
  timestamp,
} from '../../lib/cel/types.ts'
import type { ScalarKind, Schema } from '../schema.ts'
import { escapeName } from './escape.ts'

const scalars: Readonly<Record<ScalarKind, Type>> = {
  string,
  boolean: bool,
  int32: int,
  int64: int,
  double,
  time: timestamp,
  microTime: timestamp,
  duration,
  quantity: string,
  intOrString: dyn,
  bytes,
  any: dyn,
  fieldsV1: dyn,
  schemaOrArray: dyn,
  schemaOrBool: dyn,
  schemaOrStrings: dyn,
}

/** Fields are looked up when an expression names them: schemas are large, and some hold themselves. */
export function typeOfSchema({ shape }: Schema): Type {
  switch (shape.kind) {
    case 'scalar':
      return scalars[shape.scalar]
    case 'list':
      return list(typeOfSchema(shape.item))
    case 'map':
      return map(string, typeOfSchema(shape.value))
    case 'object':
      return objectType(shape.name, shape.fields)
  }
}

function objectType(name: string, fields: Readonly<Record<string, { readonly schema: Schema }>>): ObjectType {
  const find = (written: string): Schema | undefined => {
    if (Object.hasOwn(fields, written)) return fields[written]?.schema
    return Object.entries(fields).find(([field]) => escapeName(field) === written)?.[1].schema
  }
  return {
    kind: 'object',
    name,
    field: written => {
      const schema = find(written)
      return schema === undefined ? undefined : typeOfSchema(schema)
    },
  }
}
