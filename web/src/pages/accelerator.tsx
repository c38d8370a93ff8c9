import { useState } from 'react'
import { call, requestId } from '../api/client'
import type { Accelerator as Acc, BandwidthPackage, EndpointGroup, IPSet, Kind, Listener, Meta } from '../api/types'
import { kinds } from '../api/types'
import { all, one, put, useWorld } from '../api/world'
import { count, ms, num, percent, ports, quantity } from '../format'
import { t } from '../i18n'
import { ConfirmDelete, Copy, Dialog, Failure, Field, State, Table, Tile } from '../parts/basics'
import { Chart } from '../parts/chart'
import { DeviceConfigurations } from '../parts/devices'
import { go, to } from '../router'
import { throughput } from './overview'

/** Deletes a resource. */
export function remove(kind: Kind, name: string): Promise<unknown> {
  return call(`${kinds[kind].type}Service`, `Delete${kinds[kind].type}`, { name, requestId: requestId() })
}

/** Replaces what users say of a resource, if nobody else changed it meanwhile. */
export async function change<T extends Meta>(kind: Kind, o: T): Promise<void> {
  const answer = await call<Meta>(`${kinds[kind].type}Service`, `Update${kinds[kind].type}`, { [kinds[kind].field]: o, requestId: requestId(), expectedRevision: o.revision })
  put(kind, answer)
}

export function Accelerator({ name }: { name: string }) {
  const w = useWorld()
  const [editing, setEditing] = useState<EndpointGroup>()
  const [deleting, setDeleting] = useState<{ kind: Kind; name: string }>()
  const [error, setError] = useState<unknown>()
  const a = one<Acc>(w, 'accelerator', name)
  if (!a) return <p>{t('common.notfound', t('acc.title'), name)} <a href={to('accelerators')}>{t('common.back')}</a></p>
  const sets = all<IPSet>(w, 'ip-set').filter((s) => s.accelerator === name)
  const listeners = all<Listener>(w, 'listener').filter((l) => l.accelerator === name)
  const groups = all<EndpointGroup>(w, 'endpoint-group').filter((g) => listeners.some((l) => l.name === g.listener))
  const packages = all<BandwidthPackage>(w, 'bandwidth-package').filter((p) => p.accelerator === name)
  const live = w.overview?.accelerators?.find((x) => x.name === name)
  const enabled = a.enabled !== false
  return (
    <>
      <div className="head">
        <h1>{a.title || a.name} <State of={a.status?.state} /></h1>
        <div className="buttons">
          <button type="button" onClick={() => change('accelerator', { ...a, enabled: !enabled }).catch(setError)}>{enabled ? t('acc.disable') : t('acc.enable')}</button>
          <button type="button" className="danger" onClick={() => setDeleting({ kind: 'accelerator', name })}>{t('common.delete')}</button>
        </div>
      </div>
      <Failure error={error} />
      {a.status?.reason && <p>{a.status.reason}</p>}
      <dl className="tiles">
        <Tile title={t('overview.sessions')} value={count(live?.sessions ?? 0)} />
        <Tile title={t('overview.raw')} value={live ? percent(live.rawLoss ?? 0) : '–'} />
        <Tile title={t('overview.residual')} value={live ? percent(live.residualLoss ?? 0) : '–'} tone={(live?.residualLoss ?? 0) > 0.005 ? 'bad' : 'good'} />
        <Tile title={t('acc.rtt')} value={ms(live?.rttMs)} />
        <Tile title={t('overview.throughput')} value={quantity(throughput(w, name), 'bit/s')} />
        <Tile title={t('overview.limits')} value={percent(live?.limitUsed ?? 0)} help={`${t('pops.dropped')}: ${count(num(live?.limitDropped))}`} />
        <Tile title={t('acc.spec')} value={a.spec ?? 'custom'} help={a.sourceConsistent === false ? undefined : t('acc.consistent')} />
      </dl>
      <section className="card">
        <h2>{t('acc.now')}</h2>
        <Recent name={name} />
      </section>
      <section className="card">
        <h2>{t('acc.ipsets')}</h2>
        <Table
          caption={t('acc.ipsets')}
          rows={sets}
          id={(s) => s.name}
          columns={[
            { title: t('common.region'), text: (s) => s.region, cell: (s) => s.region },
            { title: t('acc.ips'), text: (s) => s.given?.acceleratedIp ?? '', cell: (s) => <><code>{s.given?.acceleratedIp}</code> <Copy text={s.given?.acceleratedIp ?? ''} /></> },
            { title: 'PoP', text: (s) => s.given?.pop ?? '', cell: (s) => <a href={to('pops', s.given?.pop ?? '')}>{s.given?.pop}</a> },
            { title: t('acc.bandwidth'), number: (s) => s.mbps ?? 0, cell: (s) => (s.mbps ? quantity(s.mbps * 1e6, 'bit/s') : t('acc.unlimited')) },
            { title: t('common.state'), cell: (s) => <State of={s.status?.state} why={s.status?.reason} /> },
            { title: t('common.actions'), cell: (s) => <button type="button" className="small danger" onClick={() => setDeleting({ kind: 'ip-set', name: s.name })}>{t('common.delete')}</button> },
          ]}
        />
      </section>
      <section className="card">
        <h2>{t('acc.listeners')}</h2>
        <Table
          caption={t('acc.listeners')}
          rows={listeners}
          id={(l) => l.name}
          columns={[
            { title: t('common.name'), text: (l) => l.name, cell: (l) => l.name },
            { title: t('acc.ports'), text: (l) => ports(l.ports), cell: (l) => <code>UDP {ports(l.ports)}</code> },
            { title: t('acc.repair'), cell: (l) => l.repair ?? 'balanced' },
            { title: t('acc.idle'), cell: (l) => l.idleTimeout ?? '300s' },
            { title: t('common.state'), cell: (l) => <><State of={l.status?.state} /> {l.status?.reason}</> },
            { title: t('common.actions'), cell: (l) => <button type="button" className="small danger" onClick={() => setDeleting({ kind: 'listener', name: l.name })}>{t('common.delete')}</button> },
          ]}
        />
      </section>
      <section className="card">
        <h2>{t('acc.groups')}</h2>
        <Table
          caption={t('acc.groups')}
          rows={groups}
          id={(g) => g.name}
          columns={[
            { title: t('common.name'), text: (g) => g.name, cell: (g) => g.name },
            { title: t('common.region'), text: (g) => g.region, cell: (g) => g.region },
            { title: t('acc.egress'), text: (g) => g.given?.ip ?? '', cell: (g) => <><code>{g.given?.ip}</code> <Copy text={g.given?.ip ?? ''} /></> },
            { title: t('acc.endpoints'), text: (g) => (g.endpoints ?? []).map((e) => e.address ?? e.domain).join(' '), cell: (g) => (g.endpoints ?? []).map((e) => <div key={e.address ?? e.domain}><code>{e.address ?? e.domain}</code> · {e.weight ?? 128}</div>) },
            { title: t('common.state'), cell: (g) => <><State of={g.status?.state} /> {g.status?.reason}</> },
            {
              title: t('common.actions'),
              cell: (g) => (
                <div className="buttons">
                  <button type="button" className="small" onClick={() => setEditing(g)}>{t('common.edit')}</button>
                  <button type="button" className="small danger" onClick={() => setDeleting({ kind: 'endpoint-group', name: g.name })}>{t('common.delete')}</button>
                </div>
              ),
            },
          ]}
        />
      </section>
      {packages.length > 0 && (
        <section className="card">
          <h2>{t('acc.packages')}</h2>
          <Table
            caption={t('acc.packages')}
            rows={packages}
            id={(p) => p.name}
            columns={[
              { title: t('common.name'), cell: (p) => p.name },
              { title: t('acc.spec'), cell: (p) => `${p.type} ${p.kind ?? ''}` },
              { title: t('acc.bandwidth'), cell: (p) => quantity((p.mbps ?? 0) * 1e6, 'bit/s') },
              { title: t('common.state'), cell: (p) => <State of={p.status?.state} /> },
            ]}
          />
        </section>
      )}
      <section className="card">
        <h2>{t('acc.configs')}</h2>
        <DeviceConfigurations accelerator={name} sets={sets} groups={groups} />
      </section>
      {editing && <EditEndpoints group={editing} close={() => setEditing(undefined)} />}
      {deleting && (
        <ConfirmDelete
          what={deleting.name}
          close={() => setDeleting(undefined)}
          run={async () => {
            await remove(deleting.kind, deleting.name)
            if (deleting.kind === 'accelerator') go('accelerators')
          }}
        />
      )}
    </>
  )
}

function EditEndpoints({ group, close }: { group: EndpointGroup; close: () => void }) {
  const [text, setText] = useState((group.endpoints ?? []).map((e) => `${e.address ?? e.domain}${e.weight !== undefined && e.weight !== 128 ? ` ${e.weight}` : ''}`).join(', '))
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  return (
    <Dialog title={t('acc.editEndpoint', group.name)} close={close}>
      <form
        noValidate
        onSubmit={async (e) => {
          e.preventDefault()
          setBusy(true)
          setError(undefined)
          const endpoints = text.split(',').map((piece) => {
            const [where, weight] = piece.trim().split(/\s+/)
            return { ...(/^[\d.]+$|:/.test(where) ? { address: where } : { domain: where }), ...(weight ? { weight: Number(weight) } : {}) }
          })
          try {
            await change('endpoint-group', { ...group, endpoints })
            close()
          } catch (x) {
            setError(x)
          }
          setBusy(false)
        }}
      >
        <Failure error={error} fields={['endpoints']} />
        <Field label={t('acc.endpoints')} value={text} set={setText} error={error} name="endpoints" autoFocus required />
        <p>{t('acc.egressKept', group.given?.ip ?? '')}</p>
        <div className="buttons">
          <button type="button" onClick={close}>{t('common.cancel')}</button>
          <button type="submit" className="primary" disabled={busy}>{t('common.save')}</button>
        </div>
      </form>
    </Dialog>
  )
}

/** The last minutes, as the overviews told of them. */
function Recent({ name }: { name: string }) {
  const w = useWorld()
  const points = w.recent.map((s) => ({ at: s.at / 1000, a: s.overview.accelerators?.find((x) => x.name === name) }))
  if (points.length < 3) return <p className="empty">{t('common.loading')}</p>
  return (
    <div className="charts">
      <Chart label={t('history.delay')} unit="ms" times={points.map((p) => p.at)} series={[{ label: t('history.delay'), values: points.map((p) => p.a?.rttMs || null), color: '--accent' }]} />
      <Chart
        label={t('history.loss')}
        digits={2}
        unit="%"
        times={points.map((p) => p.at)}
        series={[
          { label: t('history.raw'), values: points.map((p) => (p.a ? (p.a.rawLoss ?? 0) * 100 : null)), color: '--bad', dash: [4, 3] },
          { label: t('history.residual'), values: points.map((p) => (p.a ? (p.a.residualLoss ?? 0) * 100 : null)), color: '--good', width: 2 },
        ]}
      />
    </div>
  )
}
