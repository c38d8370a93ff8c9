// The network as a picture: PoPs around a circle, grouped by region, and the
// segments between them. The same facts stand in the tables of Routes and PoPs.

import { ms, percent } from '../format'
import { t } from '../i18n'
import type { Overview, PoP, SegmentOverview } from '../api/types'
import { to } from '../router'

const width = 720

/** A few PoPs need little room. */
const heightFor = (pops: number) => (pops <= 2 ? 130 : pops <= 5 ? 280 : 400)

interface Place {
  x: number
  y: number
}

/** Places for the PoPs: by region around an ellipse, so that neighbours stand together. */
export function places(pops: { name: string; region: string }[]): Map<string, Place> {
  const sorted = [...pops].sort((a, b) => a.region.localeCompare(b.region) || a.name.localeCompare(b.name))
  const placed = new Map<string, Place>()
  const height = heightFor(pops.length)
  sorted.forEach((p, i) => {
    if (sorted.length === 1) {
      placed.set(p.name, { x: width / 2, y: height / 2 })
      return
    }
    const turn = Math.PI + (2 * Math.PI * i) / sorted.length
    placed.set(p.name, { x: width / 2 + Math.cos(turn) * (width / 2 - 110), y: height / 2 + Math.sin(turn) * (height / 2 - 56) })
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

/** The hops that routes go over now, as "a\nb" with a < b. */
function inUse(o: Overview): Set<string> {
  const used = new Set<string>()
  for (const r of o.routes ?? []) {
    if (!r.up) continue
    let here = r.from
    for (const next of [...(r.via ?? []), r.to]) {
      used.add(here < next ? `${here}\n${next}` : `${next}\n${here}`)
      here = next
    }
  }
  return used
}

export function Topology({ pops, overview }: { pops: PoP[]; overview?: Overview }) {
  const at = places(pops)
  const height = heightFor(pops.length)
  const used = overview ? inUse(overview) : new Set<string>()
  const drawn = lines(overview?.segments ?? []).filter((l) => at.has(l.a) && at.has(l.b))
  const crowded = pops.length > 12
  return (
    <figure className="topology">
      <svg viewBox={`0 0 ${width} ${height}`} role="group" aria-label={t('overview.topology')}>
        {drawn.map((l) => {
          const [p, q] = [at.get(l.a) as Place, at.get(l.b) as Place]
          const loss = Math.max(l.there?.rawLoss ?? 0, l.back?.rawLoss ?? 0)
          const up = l.there?.up || l.back?.up
          const rtt = l.there?.rttMs || l.back?.rttMs
          const chosen = used.has(`${l.a}\n${l.b}`)
          return (
            <g key={`${l.a}|${l.b}`} className={`line ${up ? '' : 'down'} ${chosen ? 'chosen' : ''}`}>
              <title>{`${l.a} – ${l.b}: ${up ? `${ms(rtt)}, ${percent(loss)}` : t('routes.down')}`}</title>
              <line x1={p.x} y1={p.y} x2={q.x} y2={q.y} strokeWidth={1.5 + Math.min(loss, 0.5) * 16} />
              {!crowded && up && (
                <text x={p.x + (q.x - p.x) * 0.42} y={p.y + (q.y - p.y) * 0.42 - 6} textAnchor="middle">
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
