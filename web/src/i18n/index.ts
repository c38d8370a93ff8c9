// Words of the console in three languages. Names of things are the field's own
// terms; what the controller says (reasons, refusals) stays as it says it.

import { useSyncExternalStore } from 'react'
import { en } from './en'
import { ko } from './ko'
import { zh } from './zh'

export type Word = keyof typeof en
export type Words = Record<Word, string>
export const languages = { en: 'English', ko: '한국어', zh: '中文' } as const
export type Language = keyof typeof languages

const books: Record<Language, Words> = { en, ko, zh }
const store = 'causeway.language'

function preferred(): Language {
  const kept = localStorage.getItem(store)
  if (kept && kept in books) return kept as Language
  for (const l of navigator.languages) {
    const short = l.slice(0, 2)
    if (short in books) return short as Language
  }
  return 'en'
}

let language: Language = preferred()
document.documentElement.lang = language
const listeners = new Set<() => void>()

export function setLanguage(l: Language) {
  language = l
  localStorage.setItem(store, l)
  document.documentElement.lang = l
  for (const f of listeners) f()
}

export function useLanguage(): Language {
  return useSyncExternalStore(
    (f) => {
      listeners.add(f)
      return () => listeners.delete(f)
    },
    () => language,
  )
}

/** A text in the language in use; {0}, {1} … are replaced. */
export function t(word: Word, ...values: (string | number)[]): string {
  return books[language][word].replace(/\{(\d)\}/g, (_, i: string) => String(values[Number(i)] ?? ''))
}

/** A state of a resource as the language in use says it; unknown ones as they are. */
export function state(s: string | undefined): string {
  const word = `state.${s ?? ''}` as Word
  return word in en ? t(word) : (s ?? '')
}

export function locale(): string {
  return { en: 'en-GB', ko: 'ko-KR', zh: 'zh-CN' }[language]
}
