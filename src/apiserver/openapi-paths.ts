import type { HttpResponse } from '../world/http.ts'
export function openApi(_path: string, _accept: string | undefined): HttpResponse | undefined {
  return undefined
}
