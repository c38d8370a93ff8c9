// Light, dark, or what the system says.

export type Theme = 'system' | 'light' | 'dark'
const store = 'causeway.theme'

export function theme(): Theme {
  return (localStorage.getItem(store) as Theme | null) ?? 'system'
}

export function setTheme(wanted: Theme) {
  localStorage.setItem(store, wanted)
  if (wanted === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = wanted
}

setTheme(theme())
