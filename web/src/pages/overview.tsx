import { all, one, useWorld, type World } from '../api/world'
import type { Accelerator, Meta, PoP } from '../api/types'
import { count, ms, num, percent, quantile, quantity, span } from '../format'
import { t } from '../i18n'
import { State, Tile } from '../parts/basics'
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

/** Bits per second over all accelerators, by the overviews of the last seconds. */
export function throughput(w: World, name?: string): number {
  if (!w.overview || !w.before) return 0
  const seconds = (Date.parse(w.overview.at) - w.before.at) / 1000
  if (seconds <= 0) return 0
  let bytes = 0
  for (const a of w.overview.accelerators ?? []) {
    if (name && a.name !== name) continue
    const was = w.before.overview.accelerators?.find((b) => b.name === a.name)
    if (was) bytes += Math.max(0, num(a.bytesToClient) - num(was.bytesToClient)) + Math.max(0, num(a.bytesToEndpoint) - num(was.bytesToEndpoint))
  }
  return (bytes * 8) / seconds
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
  const list = troubles(w)
  return (
    <>
      <h1>{t('overview.title')}</h1>
      <dl className="tiles">
        <Tile title={t('overview.pops')} value={`${connected} / ${pops.length}`} tone={connected < pops.length ? 'bad' : 'good'} />
        <Tile title={t('overview.accelerators')} value={`${active} / ${accelerators.length}`} tone={active < accelerators.length ? 'wait' : 'good'} />
        <Tile title={t('overview.sessions')} value={count(live.reduce((n, a) => n + (a.sessions ?? 0), 0))} />
        {tunnels.length > 0 && <Tile title={t('overview.tunnels')} value={`${tunnels.filter((c) => c.status?.state === 'ipsec_sa_established').length} / ${tunnels.length}`} />}
        <Tile title={t('overview.raw')} value={live.length ? percent(raw) : '–'} help={t('overview.raw.help')} />
        <Tile title={t('overview.residual')} value={live.length ? percent(residual) : '–'} help={t('overview.residual.help')} tone={residual > 0.005 ? 'bad' : 'good'} />
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
      <section className="card" aria-live="polite">
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
        <Topology pops={pops} overview={w.overview} />
      </section>
    </>
  )
}
