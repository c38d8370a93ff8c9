import { useEffect, useState } from 'react'
import { call } from '../api/client'
import type { IPsecConnection, VPNFinding } from '../api/types'
import { all, one, useWorld } from '../api/world'
import { instant } from '../format'
import { t } from '../i18n'
import { Failure, State, Table } from '../parts/basics'
import { Configuration } from '../parts/devices'
import { to } from '../router'

/** The far end's address: of the tunnels in use, or the customer gateway's name. */
function peer(c: IPsecConnection): string {
  return (c.status?.tunnels ?? []).map((x) => x.peer ?? '').filter(Boolean).join(', ') || c.customerGateway || ''
}

export function VPN() {
  const w = useWorld()
  return (
    <>
      <h1>{t('vpn.title')}</h1>
      <Table
        caption={t('vpn.title')}
        rows={all<IPsecConnection>(w, 'ipsec-connection')}
        id={(c) => c.name}
        empty={t('vpn.none')}
        columns={[
          { title: t('common.name'), text: (c) => `${c.name} ${c.title ?? ''} ${c.id ?? ''}`, cell: (c) => <a href={to('vpn', c.name)}>{c.title || c.name}</a> },
          { title: t('common.state'), text: (c) => c.status?.state ?? '', cell: (c) => <State of={c.status?.state} why={c.status?.reason} /> },
          { title: t('vpn.gateway'), text: (c) => c.vpnGateway, cell: (c) => c.vpnGateway },
          { title: t('vpn.peer'), text: peer, cell: (c) => <code>{peer(c)}</code> },
          { title: t('vpn.networks'), text: (c) => [...(c.localNetworks ?? []), ...(c.remoteNetworks ?? [])].join(' '), cell: (c) => <code>{(c.localNetworks ?? []).join(', ')} ⇄ {(c.remoteNetworks ?? []).join(', ')}</code> },
          { title: t('nav.accelerators'), text: (c) => c.accelerator ?? '', cell: (c) => (c.accelerator ? <a href={to('accelerators', c.accelerator)}>{c.accelerator}</a> : '–') },
          { title: t('vpn.findings'), number: (c) => c.status?.findings?.length ?? 0, cell: (c) => c.status?.findings?.[0]?.code ?? '–' },
        ]}
      />
    </>
  )
}

export function VPNConnection({ name }: { name: string }) {
  const w = useWorld()
  const c = one<IPsecConnection>(w, 'ipsec-connection', name)
  const [findings, setFindings] = useState<VPNFinding[]>()
  const [error, setError] = useState<unknown>()
  const told = JSON.stringify(c?.status ?? {})
  useEffect(() => {
    const stop = new AbortController()
    call<{ findings?: VPNFinding[] }>('IPsecConnectionService', 'DiagnoseVPN', { name }, stop.signal)
      .then((d) => {
        setFindings(d.findings ?? [])
        setError(undefined)
      })
      .catch((e) => stop.signal.aborted || setError(e))
    return () => stop.abort()
  }, [name, told])
  if (!c) return <p>{t('common.notfound', t('vpn.title'), name)} <a href={to('vpn')}>{t('common.back')}</a></p>
  return (
    <>
      <h1>{c.title || c.name} <State of={c.status?.state} /></h1>
      {c.status?.reason && <p>{c.status.reason}</p>}
      <p><code>{(c.localNetworks ?? []).join(', ')} ⇄ {(c.remoteNetworks ?? []).join(', ')}</code></p>
      <section className="card">
        <h2>{t('vpn.tunnels')}</h2>
        <Table
          caption={t('vpn.tunnels')}
          rows={c.status?.tunnels ?? []}
          id={(x) => x.name}
          columns={[
            { title: t('common.name'), cell: (x) => x.name },
            { title: t('access.role'), cell: (x) => x.role },
            { title: t('common.state'), cell: (x) => <State of={x.state} /> },
            { title: t('common.since'), cell: (x) => instant(x.since) },
            { title: t('vpn.peer'), cell: (x) => <code>{x.local} → {x.peer}</code> },
          ]}
        />
      </section>
      <section className="card">
        <h2>{t('vpn.findings')}</h2>
        <Failure error={error} />
        {findings?.length === 0 && <p className="quiet">✓ {t('vpn.nofindings')}</p>}
        <ul className="troubles">
          {(findings ?? []).map((f, i) => (
            <li key={`${f.code} ${i}`}>
              <State of={f.severity === 'Critical' ? 'Critical' : f.severity} /> <strong>{f.code}</strong> {f.tunnel} {f.field && <code>{f.field}</code>}
              <div>{f.text}</div>
              {(f.mismatchLocal || f.mismatchRemote) && <div><code>{[f.mismatchLocal, f.mismatchRemote].filter(Boolean).join(' ≠ ')}</code></div>}
              {f.fix && <div className="fix">{t('vpn.fix')}: {f.fix}</div>}
              {f.source && <div className="help"><code>{f.source}</code> {f.at && instant(f.at)}</div>}
            </li>
          ))}
        </ul>
      </section>
      <section className="card">
        <h2>{t('vpn.config')}</h2>
        <Configuration name={name} />
      </section>
    </>
  )
}
