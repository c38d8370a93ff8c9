// Hours to months of one series, as smokeping draws them: the mean as a line,
// from the smallest to the largest as smoke around it, and loss below.

import { useEffect, useMemo, useState } from 'react'
import { call } from '../api/client'
import { useWorld } from '../api/world'
import { instant } from '../format'
import { t, type Word } from '../i18n'
import { Failure, Field, Table } from '../parts/basics'
import { Chart, type Series } from '../parts/chart'

interface Key {
  pop: string
  kind: string
  name?: string
}

interface Answer {
  stepSeconds?: number
  times?: string[]
  columns?: { name: string; values?: (number | string)[] }[]
}

const spans: { word: Word; seconds: number }[] = [
  { word: 'history.1h', seconds: 3600 },
  { word: 'history.6h', seconds: 21_600 },
  { word: 'history.24h', seconds: 86_400 },
  { word: 'history.7d', seconds: 604_800 },
  { word: 'history.60d', seconds: 5_184_000 },
]

/** What to look at first: how routes fare says most. */
const order = ['accelerated', 'segment', 'plain', 'route', 'accelerator', 'listener', 'pop']

const label = (k: Key) => [k.pop, k.kind, k.name].filter(Boolean).join(' · ')

export function History() {
  const w = useWorld()
  const [keys, setKeys] = useState<Key[]>()
  const [chosen, choose] = useState('')
  const [seconds, setSeconds] = useState('3600')
  const [answer, setAnswer] = useState<Answer>()
  const [range, setRange] = useState<[number, number]>()
  const [error, setError] = useState<unknown>()
  const minute = Math.floor(w.heard / 10_000) // asked again every ten seconds while live

  useEffect(() => {
    const stop = new AbortController()
    call<{ series?: Key[] }>('HistoryService', 'ListHistory', {}, stop.signal)
      .then((r) => {
        const list = (r.series ?? []).sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || label(a).localeCompare(label(b)))
        setKeys(list)
        choose((c) => c || (list[0] ? label(list[0]) : ''))
      })
      .catch((e) => stop.signal.aborted || setError(e))
    return () => stop.abort()
  }, [])

  const key = keys?.find((k) => label(k) === chosen)
  useEffect(() => {
    if (!key) return
    const stop = new AbortController()
    const now = Math.floor(Date.now() / 1000)
    call<Answer>('HistoryService', 'GetHistory', { series: key, fromSeconds: String(now - Number(seconds)), toSeconds: String(now), points: 600 }, stop.signal)
      .then((a) => {
        const first = Number(a.times?.[0] ?? now - Number(seconds)) // a young history fills the picture, too
        setRange([Math.max(now - Number(seconds), first - (now - first) / 50), now])
        setAnswer(a)
        setError(undefined)
      })
      .catch((e) => stop.signal.aborted || setError(e))
    return () => stop.abort()
  }, [key, seconds, minute])

  return (
    <>
      <h1>{t('history.title')}</h1>
      <Failure error={error} />
      {keys?.length === 0 && <p className="empty">{t('history.none')}</p>}
      {keys && keys.length > 0 && (
        <div className="choice">
          <Field label={t('history.series')} value={chosen} set={choose} options={keys.map((k) => ({ value: label(k), label: label(k) }))} />
          <Field label={t('history.from')} value={seconds} set={setSeconds} options={spans.map((s) => ({ value: String(s.seconds), label: t(s.word) }))} />
        </div>
      )}
      {answer && key && <Drawn answer={answer} name={label(key)} range={range} />}
    </>
  )
}

const number = (v: number | string | undefined): number | null => {
  const n = typeof v === 'string' ? Number.NaN : v // JSON has "NaN" for what is not known
  return n === undefined || Number.isNaN(n) ? null : n
}

function Drawn({ answer, name, range }: { answer: Answer; name: string; range?: [number, number] }) {
  const { times, charts } = useMemo(() => charted(answer), [answer])
  if (times.length === 0) return <p className="empty">{t('history.none')}</p>
  const columns = answer.columns ?? []
  return (
    <>
      {charts.map((c) => (
        <section className="card" key={c.title}>
          <h2>{c.title}</h2>
          <Chart label={`${name}: ${c.title}`} times={times} series={c.series} bands={c.bands} digits={c.digits} unit={c.unit} range={range} />
        </section>
      ))}
      <details>
        <summary>{t('history.table')}</summary>
        <Table
          caption={name}
          rows={times.map((at, i) => ({ at, i })).reverse()}
          id={(r) => String(r.at)}
          columns={[
            { title: t('history.time'), number: (r) => r.at, cell: (r) => instant(new Date(r.at * 1000).toISOString()) },
            ...columns.map((c) => ({ title: c.name, cell: (r: { i: number }) => number(c.values?.[r.i])?.toPrecision(4) ?? '–' })),
          ]}
        />
      </details>
    </>
  )
}

interface Charted {
  title: string
  series: Series[]
  bands?: [number, number][]
  digits?: number
  unit?: string
}

/** Puts a series' columns into charts: delay with its smoke, loss, and one for each figure besides. */
export function charted(answer: Answer): { times: number[]; charts: Charted[] } {
  const times = (answer.times ?? []).map(Number)
  const column = (name: string) => answer.columns?.find((c) => c.name === name)?.values?.map(number)
  const percent = (values: (number | null)[] | undefined) => values?.map((v) => (v === null ? null : v * 100))
  const charts: Charted[] = []
  const used = new Set<string>()
  const use = (name: string) => {
    used.add(name)
    return column(name)
  }

  const rtt = use('rtt_ms')
  if (rtt) {
    const [low, high] = [use('rtt_min_ms'), use('rtt_max_ms')]
    const series: Series[] = [{ label: t('history.mean'), values: rtt, color: '--accent', width: 2 }]
    if (high) series.push({ label: t('history.high'), values: high, color: '--smoke', width: 1 }, { label: t('history.low'), values: low ?? rtt, color: '--smoke', width: 1 })
    charts.push({ title: t('history.delay'), series, bands: high ? [[2, 3]] : undefined, unit: 'ms' })
  }
  const [sent, lost] = [column('sent'), column('lost')]
  const raw = percent(use('raw_loss')) ?? percent(use('loss')) ?? (sent && lost && sent.map((s, i) => (s ? ((lost[i] ?? 0) / s) * 100 : null)))
  const residual = percent(use('residual_loss'))
  if (raw || residual) {
    const series: Series[] = []
    if (raw) series.push({ label: residual ? t('history.raw') : t('history.loss'), values: raw, color: '--bad', dash: residual ? [4, 3] : undefined, fill: '--smoke' })
    if (residual) series.push({ label: t('history.residual'), values: residual, color: '--good', width: 2 })
    charts.push({ title: t('history.loss'), series, digits: 3, unit: '%' })
  }
  for (const c of answer.columns ?? []) {
    if (used.has(c.name) || c.name === 'sent' || c.name === 'lost') continue
    charts.push({ title: c.name, series: [{ label: c.name, values: (c.values ?? []).map(number), color: '--accent' }] })
  }
  return { times, charts }
}
