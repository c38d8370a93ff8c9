// Numbers and times as people read them.

import { locale, t } from './i18n'

/** A share as a percentage: 0.0123 → 1.2 %. */
export function percent(share: number | undefined): string {
  if (share === undefined || Number.isNaN(share)) return '–'
  const p = share * 100
  const digits = p === 0 || p >= 10 ? 0 : p >= 0.1 ? 1 : 3
  return `${p.toLocaleString(locale(), { maximumFractionDigits: digits })} %`
}

/** Milliseconds. */
export function ms(v: number | undefined): string {
  if (!v) return '–'
  return `${v.toLocaleString(locale(), { maximumFractionDigits: v < 10 ? 1 : 0 })} ms`
}

const steps = ['', 'k', 'M', 'G', 'T']

/** A number of something with a decimal prefix: 1,500,000 bit/s → 1.5 Mbit/s. */
export function quantity(v: number, unit: string): string {
  let i = 0
  while (v >= 1000 && i < steps.length - 1) {
    v /= 1000
    i++
  }
  return `${v.toLocaleString(locale(), { maximumFractionDigits: v < 10 && i > 0 ? 1 : 0 })} ${steps[i]}${unit}`
}

export function count(v: number): string {
  return v.toLocaleString(locale())
}

/** A span in milliseconds, in the largest unit that fits. */
export function span(milliseconds: number): string {
  const s = Math.max(0, Math.round(milliseconds / 1000))
  if (s < 120) return t('unit.second', s)
  if (s < 7200) return t('unit.minute', Math.round(s / 60))
  if (s < 172_800) return t('unit.hour', Math.round(s / 3600))
  return t('unit.day', Math.round(s / 86_400))
}

/** An instant, as the language in use writes it. */
export function instant(iso: string | undefined): string {
  if (!iso) return '–'
  return new Date(iso).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'medium' })
}

/** The value below which a share of the values lie; undefined without values. */
export function quantile(values: number[], share: number): number | undefined {
  if (values.length === 0) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/** 64-bit counters come as strings. */
export function num(v: string | number | undefined): number {
  return Number(v ?? 0)
}

/** Ports as people write them: 500, 4500, 5000-5010. */
export function ports(list: { from: number; to?: number }[] | undefined): string {
  return (list ?? []).map((p) => (p.to && p.to !== p.from ? `${p.from}-${p.to}` : String(p.from))).join(', ')
}

/** Reads such a list; the piece that cannot be read comes back as bad. */
export function readPorts(text: string): { ports: { from: number; to: number }[]; bad?: string } {
  const list: { from: number; to: number }[] = []
  for (const piece of text.split(',').map((p) => p.trim())) {
    const m = /^(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(piece)
    const from = Number(m?.[1])
    const to = Number(m?.[2] ?? from)
    if (!m || from < 1 || to > 65_535 || to < from) return { ports: [], bad: piece }
    list.push({ from, to })
  }
  return { ports: list }
}
