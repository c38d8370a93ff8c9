import { all, one, useWorld } from '../api/world'
import type { PoP } from '../api/types'
import { count, instant, ms, num, percent, quantity, span } from '../format'
import { t } from '../i18n'
import { State, Table, Tile } from '../parts/basics'
import { to } from '../router'
import { Candidates, way } from './routes'

function configuration(p: PoP): string {
  if (!p.status?.desired || p.status.applied === p.status.desired) return t('pops.config.newest')
  return t('pops.config.behind', p.status.applied ?? '0', p.status.desired)
}

export function PoPs() {
  const w = useWorld()
  const live = new Map((w.overview?.pops ?? []).map((p) => [p.name, p]))
  const now = Date.parse(w.overview?.at ?? '')
  const ago = (p: PoP) => now - Date.parse(live.get(p.name)?.reported ?? '')
  return (
    <>
      <h1>{t('pops.title')}</h1>
      <Table
        caption={t('pops.title')}
        rows={all<PoP>(w, 'pop')}
        id={(p) => p.name}
        columns={[
          { title: t('common.name'), text: (p) => `${p.name} ${p.title ?? ''}`, cell: (p) => <a href={to('pops', p.name)}>{p.title || p.name}</a> },
          { title: t('common.region'), text: (p) => p.region, cell: (p) => p.region },
          { title: t('common.state'), text: (p) => p.status?.state ?? '', cell: (p) => <State of={p.status?.state} why={p.status?.reason} /> },
          { title: t('pops.config'), text: configuration, cell: configuration },
          { title: t('pops.sessions'), number: (p) => p.status?.sessions ?? 0, cell: (p) => count(p.status?.sessions ?? 0) },
          { title: t('pops.addresses'), number: (p) => p.status?.addressesGiven ?? 0, cell: (p) => `${p.status?.addressesGiven ?? 0} / ${p.status?.addresses ?? 0}` },
          { title: t('pops.version'), text: (p) => p.status?.build ?? '', cell: (p) => p.status?.build ?? '–' },
          { title: t('pops.reported'), number: ago, cell: (p) => (live.has(p.name) ? t('pops.ago', span(ago(p))) : t('pops.never')) },
        ]}
      />
    </>
  )
}

export function PoPPage({ name }: { name: string }) {
  const w = useWorld()
  const p = one<PoP>(w, 'pop', name)
  if (!p) return <p>{t('common.notfound', t('pops.title'), name)}</p>
  const live = w.overview?.pops?.find((x) => x.name === name)
  const segments = (w.overview?.segments ?? []).filter((s) => s.from === name)
  const routes = (w.overview?.routes ?? []).filter((r) => r.from === name)
  const was = w.before?.overview.pops?.find((x) => x.name === name)
  const seconds = live && was ? (Date.parse(live.reported ?? '') - Date.parse(was.reported ?? '')) / 1000 : 0
  return (
    <>
      <h1>{p.title || p.name} <State of={p.status?.state} /></h1>
      {p.status?.reason && <p>{p.status.reason}</p>}
      {p.status?.refusal && <p className="failure" role="alert">{p.status.refusal}</p>}
      <dl className="tiles">
        <Tile title={t('common.region')} value={p.region} />
        <Tile title={t('pops.config')} value={configuration(p)} help={instant(live?.snapshotSince)} />
        <Tile title={t('pops.sessions')} value={count(live?.sessions ?? 0)} />
        <Tile title={t('overview.throughput')} value={seconds > 0 ? quantity((Math.max(0, num(live?.bytes) - num(was?.bytes)) * 8) / seconds, 'bit/s') : '–'} />
        <Tile title={t('pops.dropped')} value={count(num(live?.dropped))} />
        <Tile title={t('pops.cpu')} value={seconds > 0 ? percent(((live?.cpuSeconds ?? 0) - (was?.cpuSeconds ?? 0)) / seconds) : '–'} />
        <Tile title={t('pops.memory')} value={quantity(num(live?.rssBytes), 'B')} />
        <Tile title={t('pops.reported')} value={live ? t('pops.ago', span(Date.parse(w.overview?.at ?? '') - Date.parse(live.reported ?? ''))) : t('pops.never')} />
      </dl>
      <section className="card">
        <h2>{t('pops.segments')}</h2>
        <Table
          caption={t('pops.segments')}
          rows={segments}
          id={(s) => s.to}
          columns={[
            { title: t('routes.to'), text: (s) => s.to, cell: (s) => <a href={to('pops', s.to)}>{s.to}</a> },
            { title: t('common.state'), text: (s) => s.state ?? '', cell: (s) => <State of={s.up ? 'up' : 'down'} why={s.state} /> },
            { title: t('routes.rtt'), number: (s) => s.rttMs ?? 0, cell: (s) => ms(s.rttMs) },
            { title: t('acc.loss'), number: (s) => s.rawLossFrom ?? 0, cell: (s) => `${percent(s.rawLossFrom ?? 0)} → ${percent(s.residualLoss ?? 0)}` },
            { title: t('pops.overhead'), number: (s) => s.overhead ?? 0, cell: (s) => (s.overhead ?? 0).toFixed(2) },
            { title: t('pops.wires'), cell: (s) => (s.wires ?? []).map((x) => <div key={x.name}><State of={x.up ? 'up' : 'down'} /> {x.name}: {ms(x.rttMs)}, {percent(x.loss ?? 0)}</div>) },
          ]}
        />
      </section>
      <section className="card">
        <h2>{t('routes.title')}</h2>
        {routes.map((r) => (
          <details key={r.to}>
            <summary>{r.to}: {way(r.via)} <State of={r.up ? 'up' : 'down'} /> {r.reason}</summary>
            <Candidates list={r.candidates ?? []} />
          </details>
        ))}
        {routes.length === 0 && <p className="empty">{t('routes.none')}</p>}
      </section>
    </>
  )
}
