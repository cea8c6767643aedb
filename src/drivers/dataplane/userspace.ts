// TEMPORARY
export function openUserspace(_w: any, _o: any): any { throw new Error('temp') }
