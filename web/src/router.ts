// Where the console is: the address' fragment, such as #/accelerators/office.

import { useSyncExternalStore } from 'react'

function path(): string {
  return location.hash.replace(/^#/, '') || '/'
}

export function usePath(): string[] {
  const p = useSyncExternalStore(
    (f) => {
      addEventListener('hashchange', f)
      return () => removeEventListener('hashchange', f)
    },
    path,
  )
  return p.split('/').filter(Boolean).map(decodeURIComponent)
}

export function to(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join('/')}`
}

export function go(...parts: string[]) {
  location.hash = to(...parts)
}
