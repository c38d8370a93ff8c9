import { useEffect, useState } from 'react'
import { call } from '../api/client'
import type { IPsecConnection, VPNFinding } from '../api/types'
import { all, one, useWorld } from '../api/world'
import { instant } from '../format'
import { t } from '../i18n'
import { Copy, Download, Failure, Field, State, Table } from '../parts/basics'
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

interface Device {
  name: string
  title?: string
}

interface Config {
  files?: { name: string; text?: string; secret?: boolean }[]
  notes?: string[]
  warnings?: string[]
  findings?: VPNFinding[]
}

function Configuration({ name }: { name: string }) {
  const w = useWorld()
  const [devices, setDevices] = useState<Device[]>([])
  const [device, setDevice] = useState('strongswan')
  const [side, setSide] = useState('local')
  const [config, setConfig] = useState<Config>()
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const stop = new AbortController()
    call<{ devices?: Device[] }>('IPsecConnectionService', 'ListVPNDevices', {}, stop.signal)
      .then((d) => setDevices(d.devices ?? []))
      .catch((e) => stop.signal.aborted || setError(e))
    return () => stop.abort()
  }, [])
  return (
    <form
      noValidate
      onSubmit={async (e) => {
        e.preventDefault()
        setError(undefined)
        try {
          setConfig(await call<Config>('IPsecConnectionService', 'GetVPNConfig', { name, device, side, masked: w.who?.role === 'reader' }))
        } catch (x) {
          setConfig(undefined)
          setError(x)
        }
      }}
    >
      <Failure error={error} fields={['device']} />
      <Field label={t('vpn.device')} value={device} set={setDevice} error={error} name="device" options={devices.map((d) => ({ value: d.name, label: d.title || d.name }))} />
      <Field label={t('vpn.side')} value={side} set={setSide} options={[{ value: 'local', label: t('vpn.side.local') }, { value: 'remote', label: t('vpn.side.remote') }]} />
      <div className="buttons"><button type="submit" className="primary">{t('vpn.show')}</button></div>
      {config && (
        <div aria-live="polite">
          {(config.findings ?? []).map((f) => <p key={f.code}><strong>{f.code}</strong> {f.text} <span className="fix">{f.fix}</span></p>)}
          {config.warnings?.map((n) => <p key={n}><State of="Warn" /> {n}</p>)}
          {config.files?.map((f) => (
            <div key={f.name}>
              <h3><code>{f.name}</code> <Copy text={f.text ?? ''} /> <Download name={f.name.replaceAll('/', '-').replace(/^-/, '')} text={f.text ?? ''} /></h3>
              <pre tabIndex={0} aria-label={f.name}>{f.text}</pre>
            </div>
          ))}
          {config.notes && <ul>{config.notes.map((n) => <li key={n}>{n}</li>)}</ul>}
        </div>
      )}
    </form>
  )
}
