// The network as a picture: PoPs where their regions are, or around a circle where
// a region's name does not say, and the segments between them. The same facts
// stand in the tables of Routes and PoPs.

import { ms, percent } from '../format'
import { t } from '../i18n'
import type { EndpointGroup, IPSet, Listener, Overview, PoP, SegmentOverview } from '../api/types'
import { all, type World } from '../api/world'
import { to } from '../router'
import { degrees, mapped, type Place } from './geography'

const width = 1000

/** A few PoPs need little room. */
const heightFor = (pops: number) => (pops <= 2 ? 200 : pops <= 5 ? 340 : 460)

/** Places for the PoPs around an ellipse, by region, so that neighbours stand together. */
export function circle(pops: { name: string; region: string }[]): Map<string, Place> {
  const sorted = [...pops].sort((a, b) => a.region.localeCompare(b.region) || a.name.localeCompare(b.name))
  const placed = new Map<string, Place>()
  const height = heightFor(pops.length)
  sorted.forEach((p, i) => {
    if (sorted.length === 1) {
      placed.set(p.name, { x: width / 2, y: height / 2 })
      return
    }
    const turn = Math.PI + (2 * Math.PI * i) / sorted.length
    placed.set(p.name, { x: width / 2 + Math.cos(turn) * (width / 2 - 150), y: height / 2 + Math.sin(turn) * (height / 2 - 60) })
  })
  return placed
}

/** The segments in both directions as one line each. */
function lines(segments: SegmentOverview[]): { a: string; b: string; there?: SegmentOverview; back?: SegmentOverview }[] {
  const found = new Map<string, { a: string; b: string; there?: SegmentOverview; back?: SegmentOverview }>()
  for (const s of segments) {
    const [a, b] = s.from < s.to ? [s.from, s.to] : [s.to, s.from]
    const line = found.get(`${a}\n${b}`) ?? { a, b }
    if (s.from === a) line.there = s
    else line.back = s
    found.set(`${a}\n${b}`, line)
  }
  return [...found.values()]
}

const pair = (a: string, b: string) => (a < b ? `${a}\n${b}` : `${b}\n${a}`)

/** The pairs of PoPs that accelerators have traffic go between. */
function ends(w: World): Set<string> {
  const found = new Set<string>()
  const listeners = all<Listener>(w, 'listener')
  for (const g of all<EndpointGroup>(w, 'endpoint-group')) {
    const accelerator = listeners.find((l) => l.name === g.listener)?.accelerator
    for (const s of all<IPSet>(w, 'ip-set')) if (s.accelerator === accelerator && s.given?.pop && g.given?.pop) found.add(pair(s.given.pop, g.given.pop))
  }
  return found
}

/** The hops that accelerators' traffic goes over now. */
function inUse(o: Overview, between: Set<string>): Set<string> {
  const used = new Set<string>()
  for (const r of o.routes ?? []) {
    if (!r.up || !between.has(pair(r.from, r.to))) continue
    let here = r.from
    for (const next of [...(r.via ?? []), r.to]) {
      used.add(pair(here, next))
      here = next
    }
  }
  return used
}

export function Topology({ pops, world }: { pops: PoP[]; world: World }) {
  const overview = world.overview
  const height = heightFor(pops.length)
  const map = mapped(pops, width, height, { x: 90, y: 48 }, pops.length > 12 ? 26 : 150)
  const at = map?.at ?? circle(pops)
  const used = overview ? inUse(overview, ends(world)) : new Set<string>()
  const drawn = lines(overview?.segments ?? []).filter((l) => at.has(l.a) && at.has(l.b))
  const crowded = pops.length > 12
  return (
    <figure className="topology">
      <svg viewBox={`0 0 ${width} ${height}`} role="group" aria-label={t('overview.topology')}>
        {map && (
          <g className="grid" aria-hidden="true">
            {map.east.map((l) => (
              <g key={`e${l.degrees}`}>
                <line x1={l.at} x2={l.at} y1={0} y2={height} />
                <text x={l.at + 4} y={height - 5}>{degrees(l.degrees, ['E', 'W'])}</text>
              </g>
            ))}
            {map.north.map((l) => (
              <g key={`n${l.degrees}`}>
                <line x1={0} x2={width} y1={l.at} y2={l.at} />
                <text x={4} y={l.at - 4}>{degrees(l.degrees, ['N', 'S'])}</text>
              </g>
            ))}
          </g>
        )}
        {drawn.map((l) => {
          const [p, q] = [at.get(l.a) as Place, at.get(l.b) as Place]
          const loss = Math.max(l.there?.rawLoss ?? 0, l.back?.rawLoss ?? 0)
          const up = l.there?.up || l.back?.up
          const rtt = l.there?.rttMs || l.back?.rttMs
          const chosen = used.has(pair(l.a, l.b))
          return (
            <g key={`${l.a}|${l.b}`} className={`line ${up ? '' : 'down'} ${chosen ? 'chosen' : ''}`}>
              <title>{`${l.a} – ${l.b}: ${up ? `${ms(rtt)}, ${percent(loss)}` : t('routes.down')}`}</title>
              <line x1={p.x} y1={p.y} x2={q.x} y2={q.y} strokeWidth={(chosen ? 2.5 : 1.2) + Math.min(loss, 0.5) * 12} />
              {!crowded && up && (
                <text x={p.x + (q.x - p.x) * 0.5} y={p.y + (q.y - p.y) * 0.5 + 4} textAnchor="middle">
                  {`${ms(rtt)} · ${percent(loss)}`}
                </text>
              )}
            </g>
          )
        })}
        {pops.map((p) => {
          const place = at.get(p.name) as Place
          const ok = p.status?.state === 'connected'
          return (
            <a key={p.name} href={to('pops', p.name)} aria-label={crowded ? p.name : undefined}>
              <g className={`pop ${ok ? 'good' : 'bad'}`} transform={`translate(${place.x} ${place.y})`}>
                <circle r={crowded ? 6 : 10} />
                {!ok && <path d="M-4-4 4 4M4-4-4 4" />}
                {!crowded && (
                  <>
                    <text y="-16" textAnchor="middle" className="name">
                      {p.name}
                    </text>
                    <text y="26" textAnchor="middle">
                      {p.region}
                    </text>
                  </>
                )}
              </g>
            </a>
          )
        })}
      </svg>
      <figcaption>{t('overview.topology.help')}</figcaption>
    </figure>
  )
}
