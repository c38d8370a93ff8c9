// Light, dark, or what the system says.

import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'
const store = 'causeway.theme'

export function theme(): Theme {
  return (localStorage.getItem(store) as Theme | null) ?? 'system'
}

export function setTheme(wanted: Theme) {
  localStorage.setItem(store, wanted)
  if (wanted === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = wanted
  for (const f of listeners) f()
}

const listeners = new Set<() => void>()
const system = matchMedia('(prefers-color-scheme: dark)')

/** Whether colours are dark now; what is drawn with them is drawn anew when that changes. */
export function useDark(): boolean {
  return useSyncExternalStore(
    (f) => {
      listeners.add(f)
      system.addEventListener('change', f)
      return () => {
        listeners.delete(f)
        system.removeEventListener('change', f)
      }
    },
    () => (theme() === 'system' ? system.matches : theme() === 'dark'),
  )
}

setTheme(theme())
