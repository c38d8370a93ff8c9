import { all, useWorld } from '../api/world'
import type { Accelerator, EndpointGroup, IPSet, Listener } from '../api/types'
import { ms, percent, quantity } from '../format'
import { t } from '../i18n'
import { State, Table } from '../parts/basics'
import { to } from '../router'
import { throughput } from './overview'

export function Accelerators() {
  const w = useWorld()
  const rows = all<Accelerator>(w, 'accelerator')
  const sets = Map.groupBy(all<IPSet>(w, 'ip-set'), (s) => s.accelerator)
  const listeners = Map.groupBy(all<Listener>(w, 'listener'), (l) => l.accelerator)
  const groups = Map.groupBy(all<EndpointGroup>(w, 'endpoint-group'), (g) => g.listener)
  const live = new Map((w.overview?.accelerators ?? []).map((a) => [a.name, a]))
  const ips = (a: Accelerator) => (sets.get(a.name) ?? []).map((s) => s.given?.acceleratedIp ?? '').join(', ')
  const egress = (a: Accelerator) => [...new Set((listeners.get(a.name) ?? []).flatMap((l) => (groups.get(l.name) ?? []).map((g) => g.given?.ip ?? '')))].join(', ')
  return (
    <>
      <div className="head">
        <h1>{t('acc.title')}</h1>
        <a className="button primary" href={to('accelerators', 'new')}>{t('acc.new')}</a>
      </div>
      <Table
        caption={t('acc.title')}
        rows={rows}
        id={(a) => a.name}
        empty={t('overview.start.text')}
        columns={[
          { title: t('common.name'), text: (a) => `${a.name} ${a.title ?? ''} ${a.id ?? ''}`, cell: (a) => <a href={to('accelerators', a.name)}>{a.title || a.name}</a> },
          { title: t('common.state'), text: (a) => a.status?.state ?? '', cell: (a) => <State of={a.status?.state} why={a.status?.reason} /> },
          { title: t('acc.ips'), text: ips, cell: (a) => <code>{ips(a) || '–'}</code> },
          { title: t('acc.egress'), text: egress, cell: (a) => <code>{egress(a) || '–'}</code> },
          { title: t('overview.sessions'), number: (a) => live.get(a.name)?.sessions ?? 0, cell: (a) => live.get(a.name)?.sessions ?? 0 },
          {
            title: t('acc.loss'),
            number: (a) => live.get(a.name)?.rawLoss ?? 0,
            cell: (a) => (live.has(a.name) ? `${percent(live.get(a.name)?.rawLoss ?? 0)} → ${percent(live.get(a.name)?.residualLoss ?? 0)}` : '–'),
          },
          { title: t('acc.rtt'), number: (a) => live.get(a.name)?.rttMs ?? 0, cell: (a) => ms(live.get(a.name)?.rttMs) },
          { title: t('acc.traffic'), number: (a) => throughput(w, a.name), cell: (a) => quantity(throughput(w, a.name), 'bit/s') },
        ]}
      />
    </>
  )
}
