import { useState } from 'react'
import { useWorld } from '../api/world'
import type { Candidate, RouteOverview } from '../api/types'
import { instant, ms, percent } from '../format'
import { t } from '../i18n'
import { Dialog, State, Table } from '../parts/basics'

/** A way in words: the relays it passes. */
export function way(via: string[] | undefined): string {
  return via?.length ? via.join(' → ') : t('common.direct')
}

export function Routes() {
  const w = useWorld()
  const [open, setOpen] = useState<string>()
  const rows = w.overview?.routes ?? []
  const id = (r: RouteOverview) => `${r.from} → ${r.to}`
  const shown = rows.find((r) => id(r) === open)
  return (
    <>
      <h1>{t('routes.title')}</h1>
      <Table
        caption={t('routes.title')}
        rows={rows}
        id={id}
        empty={t('routes.none')}
        columns={[
          { title: t('routes.from'), text: (r) => r.from, cell: (r) => r.from },
          { title: t('routes.to'), text: (r) => r.to, cell: (r) => r.to },
          { title: t('common.state'), text: (r) => (r.up ? 'up' : 'down'), cell: (r) => <State of={r.up ? 'up' : 'down'} /> },
          { title: t('routes.way'), text: (r) => way(r.via), cell: (r) => <>{way(r.via)}{r.pinned && ' 📌'}</> },
          { title: t('routes.why'), text: (r) => r.reason ?? '', cell: (r) => r.reason ?? '' },
          { title: t('routes.switches'), number: (r) => Number(r.switches ?? 0), cell: (r) => r.switches ?? '0' },
          { title: t('common.since'), text: (r) => r.since ?? '', cell: (r) => instant(r.since) },
          { title: t('routes.candidates'), cell: (r) => <button type="button" className="small" onClick={() => setOpen(id(r))}>{t('routes.candidates')} ({r.candidates?.length ?? 0})</button> },
        ]}
      />
      {shown && (
        <Dialog title={id(shown)} close={() => setOpen(undefined)}>
          <p>{shown.reason}</p>
          <Candidates list={shown.candidates ?? []} />
          <div className="buttons"><button type="button" onClick={() => setOpen(undefined)}>{t('common.close')}</button></div>
        </Dialog>
      )}
    </>
  )
}

export function Candidates({ list }: { list: Candidate[] }) {
  return (
    <Table
      caption={t('routes.candidates')}
      rows={list}
      id={(c) => way(c.via)}
      columns={[
        { title: t('routes.way'), text: (c) => way(c.via), cell: (c) => <>{way(c.via)} {c.chosen && <strong>· {t('routes.chosen')}</strong>} {c.copy && <>· {t('routes.copy')}</>}</> },
        { title: t('common.state'), cell: (c) => <State of={c.up ? 'up' : 'down'} /> },
        { title: t('routes.rtt'), number: (c) => c.rttMs ?? 0, cell: (c) => ms(c.rttMs) },
        { title: t('routes.loss'), number: (c) => c.loss ?? 0, cell: (c) => percent(c.loss ?? 0) },
        { title: t('routes.score'), number: (c) => c.score ?? 0, cell: (c) => (c.score ?? 0).toFixed(1) },
        { title: t('routes.why'), cell: (c) => c.why ?? '' },
      ]}
    />
  )
}
