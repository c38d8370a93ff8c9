import { all, one, useWorld, type World } from '../api/world'
import type { Accelerator, Meta, Overview, PoP } from '../api/types'
import { count, ms, num, percent, quantile, quantity, span } from '../format'
import { t } from '../i18n'
import { State, Tile } from '../parts/basics'
import { Chart } from '../parts/chart'
import { Topology } from '../parts/topology'
import { to } from '../router'

/** Something that needs somebody, and where to look. */
interface Trouble {
  id: string
  state: string
  text: string
  href: string
}

function troubles(w: World): Trouble[] {
  const list: Trouble[] = []
  for (const p of all<PoP>(w, 'pop')) {
    const href = to('pops', p.name)
    if (p.status?.state === 'away') list.push({ id: `away ${p.name}`, state: 'away', text: t('overview.away', p.name), href })
    if (p.status?.refusal) list.push({ id: `refused ${p.name}`, state: 'refused', text: t('overview.refused', p.name, p.status.refusal), href })
  }
  for (const name of w.overview?.silent ?? []) {
    if (one<PoP>(w, 'pop', name)?.status?.state === 'connected') list.push({ id: `silent ${name}`, state: 'configuring', text: t('overview.silent', name), href: to('pops', name) })
  }
  for (const a of w.overview?.alarms ?? []) list.push({ id: `${a.pop} ${a.kind} ${a.object}`, state: 'blocked', text: `${a.pop}: ${a.text}`, href: to('pops', a.pop) })
  for (const a of all<Accelerator>(w, 'accelerator')) {
    if (a.status?.state === 'blocked' || a.status?.state === 'incomplete')
      list.push({ id: `acc ${a.name}`, state: a.status.state, text: `${a.name}: ${a.status.reason ?? ''}`, href: to('accelerators', a.name) })
  }
  for (const c of all<Meta>(w, 'ipsec-connection')) {
    if (c.status?.state && c.status.state !== 'ipsec_sa_established' && c.status.state !== 'active')
      list.push({ id: `vpn ${c.name}`, state: c.status.state, text: `${c.name}: ${c.status.reason ?? ''}`, href: to('vpn', c.name) })
  }
  return list
}

/** How many troubles are listed. */
const most = 20

/** Rates are seen over so many milliseconds at least: PoPs report every few seconds. */
const rateOver = 15_000

/** Bits per second over all accelerators, or one, between the newest report that changed anything and one some time before. */
export function throughput(w: World, name?: string): number {
  const bytes = (o: Overview) => (o.accelerators ?? []).reduce((sum, a) => (name && a.name !== name ? sum : sum + num(a.bytesToClient) + num(a.bytesToEndpoint)), 0)
  const samples = w.recent.map((s) => ({ at: s.at, bytes: bytes(s.overview) }))
  const changes = samples.filter((s, i) => i > 0 && s.bytes !== samples[i - 1].bytes)
  const last = changes.at(-1)
  if (!last || samples[samples.length - 1].at - last.at > 2 * rateOver) return 0 // nothing came for a while
  const before = changes.findLast((s) => last.at - s.at >= rateOver) ?? changes[0]
  return last.at > before.at ? Math.max(0, ((last.bytes - before.bytes) * 8000) / (last.at - before.at)) : 0
}

/** What Causeway does now, in one look: what is lost on the way, and what of it is left. */
function Worth({ w, raw, residual }: { w: World; raw: number; residual: number }) {
  const worst = (o: Overview, of: 'rawLoss' | 'residualLoss') => Math.max(0, ...(o.accelerators ?? []).map((a) => a[of] ?? 0)) * 100
  const points = w.recent.slice(-180)
  return (
    <section className="card worth" aria-label={t('overview.worth')}>
      <div className="sides">
        <p className="side raw"><span>{t('overview.raw')}</span><strong>{percent(raw)}</strong><span className="help">{t('overview.raw.help')}</span></p>
        <span className="arrow" aria-hidden="true">→</span>
        <p className={`side ${residual > 0.005 ? 'raw' : 'kept'}`}><span>{t('overview.residual')}</span><strong>{percent(residual)}</strong><span className="help">{t('overview.residual.help')}</span></p>
      </div>
      {points.length > 2 && (
        <Chart
          label={t('history.loss')}
          height={150}
          digits={2}
          unit="%"
          times={points.map((s) => s.at / 1000)}
          series={[
            { label: t('history.raw'), values: points.map((s) => worst(s.overview, 'rawLoss')), color: '--bad', fill: '--lost', width: 1.5 },
            { label: t('history.residual'), values: points.map((s) => worst(s.overview, 'residualLoss')), color: '--good', width: 2.5 },
          ]}
        />
      )}
    </section>
  )
}

export function OverviewPage() {
  const w = useWorld()
  const pops = all<PoP>(w, 'pop')
  const accelerators = all<Accelerator>(w, 'accelerator')
  const live = w.overview?.accelerators ?? []
  const connected = pops.filter((p) => p.status?.state === 'connected').length
  const active = accelerators.filter((a) => a.status?.state === 'active').length
  const raw = Math.max(0, ...live.map((a) => a.rawLoss ?? 0))
  const residual = Math.max(0, ...live.map((a) => a.residualLoss ?? 0))
  const delays = w.recent.flatMap((s) => (s.overview.accelerators ?? []).map((a) => a.rttMs ?? 0)).filter((v) => v > 0)
  const seen = w.recent.length > 1 ? w.recent[w.recent.length - 1].at - w.recent[0].at : 0
  const behind = pops.filter((p) => p.status?.desired && p.status.applied !== p.status.desired)
  const oldest = Math.max(0, ...(w.overview?.pops ?? []).map((p) => Date.parse(w.overview?.at ?? '') - Date.parse(p.snapshotSince ?? w.overview?.at ?? '')))
  const tunnels = all<Meta>(w, 'ipsec-connection')
  const up = tunnels.filter((c) => c.status?.state === 'ipsec_sa_established').length
  const list = troubles(w)
  return (
    <>
      <h1>{t('overview.title')}</h1>
      {live.length > 0 && <Worth w={w} raw={raw} residual={residual} />}
      <dl className="tiles">
        <Tile title={t('overview.pops')} value={`${connected} / ${pops.length}`} tone={connected < pops.length ? 'bad' : 'good'} />
        <Tile title={t('overview.accelerators')} value={`${active} / ${accelerators.length}`} tone={active < accelerators.length ? 'wait' : 'good'} />
        <Tile
          title={t('overview.tunnels')}
          value={tunnels.length ? `${up} / ${tunnels.length}` : '–'}
          tone={tunnels.length === 0 ? undefined : up < tunnels.length ? 'bad' : 'good'}
          help={tunnels.length ? undefined : t('overview.tunnels.none')}
        />
        <Tile title={t('overview.sessions')} value={count(live.reduce((n, a) => n + (a.sessions ?? 0), 0))} />
        <Tile title={t('overview.delay')} value={`${ms(quantile(delays, 0.5))} / ${ms(quantile(delays, 0.99))}`} help={t('overview.delay.help', span(seen))} />
        <Tile title={t('overview.throughput')} value={quantity(throughput(w), 'bit/s')} />
        <Tile title={t('overview.limits')} value={live.filter((a) => (a.limitUsed ?? 0) >= 0.9).length} help={t('overview.limits.help')} />
        <Tile
          title={t('overview.age')}
          value={span(oldest)}
          help={behind.length ? t('overview.age.help', behind.map((p) => p.name).join(', ')) : t('overview.age.current')}
          tone={behind.length ? 'wait' : undefined}
        />
      </dl>
      {accelerators.length === 0 && (
        <section className="card">
          <h2>{t('overview.start')}</h2>
          <p>{t('overview.start.text')}</p>
          <a className="button primary" href={to('accelerators', 'new')}>{t('acc.new')}</a>
        </section>
      )}
      <section className={`card ${list.length === 0 ? 'line' : ''}`} aria-live="polite">
        <h2>{t('overview.alarms')}</h2>
        {list.length === 0 ? (
          <p className="quiet">✓ {t('overview.quiet')}</p>
        ) : (
          <ul className="troubles">
            {list.slice(0, most).map((x) => (
              <li key={x.id}>
                <State of={x.state} /> <a href={x.href}>{x.text}</a>
              </li>
            ))}
            {list.length > most && <li>{t('overview.more', list.length - most)}</li>}
          </ul>
        )}
      </section>
      <section className="card">
        <h2>{t('overview.topology')}</h2>
        <Topology pops={pops} world={w} />
      </section>
    </>
  )
}
