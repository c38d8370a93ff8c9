// Configurations of VPN devices: for either end of an IPsec connection, and a
// form that makes such a connection for an accelerator.

import { type ReactNode, useEffect, useState } from 'react'
import { call, requestId } from '../api/client'
import type { EndpointGroup, IPsecConnection, IPSet, VPNFinding } from '../api/types'
import { all, useWorld } from '../api/world'
import { t } from '../i18n'
import { Copy, Download, Failure, Field, State } from './basics'

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

/** The kinds of devices that the controller can write configurations for. */
function useDevices(): [Device[], unknown] {
  const [devices, setDevices] = useState<Device[]>([])
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const stop = new AbortController()
    call<{ devices?: Device[] }>('IPsecConnectionService', 'ListVPNDevices', {}, stop.signal)
      .then((d) => setDevices(d.devices ?? []))
      .catch((e) => stop.signal.aborted || setError(e))
    return () => stop.abort()
  }, [])
  return [devices, error]
}

/** Asks for the configuration of one end, and shows it. */
export function Configuration({ name, side, heading }: { name: string; side?: 'local' | 'remote'; heading?: ReactNode }) {
  const w = useWorld()
  const [devices, unknown] = useDevices()
  const [device, setDevice] = useState('strongswan')
  const [end, setEnd] = useState<string>(side ?? 'local')
  const [secrets, setSecrets] = useState(false)
  const [config, setConfig] = useState<Config>()
  const [error, setError] = useState<unknown>()
  const show = async () => {
    setError(undefined)
    try {
      setConfig(await call<Config>('IPsecConnectionService', 'GetVPNConfig', { name, device, side: end, showSecrets: secrets }))
    } catch (x) {
      setConfig(undefined)
      setError(x)
    }
  }
  return (
    <div className="configuration">
      {heading}
      <Failure error={error ?? unknown} fields={['device']} />
      <Field label={t('vpn.device')} value={device} set={setDevice} error={error} name="device" options={devices.map((d) => ({ value: d.name, label: d.title || d.name }))} />
      {!side && <Field label={t('vpn.side')} value={end} set={setEnd} options={[{ value: 'local', label: t('vpn.side.local') }, { value: 'remote', label: t('vpn.side.remote') }]} />}
      {w.who?.role !== 'reader' && (
        <label className="check">
          <input type="checkbox" checked={secrets} onChange={(e) => setSecrets(e.target.checked)} /> {t('vpn.secrets')} <span className="help">{t('vpn.secrets.help')}</span>
        </label>
      )}
      <div className="buttons"><button type="button" onClick={show}>{t('vpn.show')}</button></div>
      {config && <Shown config={config} />}
    </div>
  )
}

function Shown({ config }: { config: Config }) {
  return (
    <div aria-live="polite">
      {(config.findings ?? []).map((f) => <p key={`${f.code} ${f.field}`}><strong>{f.code}</strong> {f.text} <span className="fix">{f.fix}</span></p>)}
      {config.warnings?.map((n) => <p key={n}><State of="Warn" /> {n}</p>)}
      {config.files?.map((f) => (
        <div key={f.name}>
          <h3><code>{f.name}</code> <Copy text={f.text ?? ''} /> <Download name={f.name.replaceAll('/', '-').replace(/^-/, '')} text={f.text ?? ''} /></h3>
          <pre tabIndex={0} aria-label={f.name}>{f.text}</pre>
        </div>
      ))}
      {config.notes && <ul>{config.notes.map((n) => <li key={n}>{n}</li>)}</ul>}
    </div>
  )
}

/** What to set on the two devices of an accelerator, and their configurations once an IPsec connection says what the tunnel is. */
export function DeviceConfigurations({ accelerator, sets, groups }: { accelerator: string; sets: IPSet[]; groups: EndpointGroup[] }) {
  const w = useWorld()
  const connections = all<IPsecConnection>(w, 'ipsec-connection').filter((c) => c.accelerator === accelerator)
  return (
    <>
      <p>{t('acc.configs.help')}</p>
      <dl className="peers">
        {sets.map((s) => (
          <div key={s.name}>
            <dt>{t('acc.peerHere')} ({s.region})</dt>
            <dd><code>{s.given?.acceleratedIp}</code> <Copy text={s.given?.acceleratedIp ?? ''} /></dd>
          </div>
        ))}
        {groups.map((g) => (
          <div key={g.name}>
            <dt>{t('acc.peerThere')} ({g.region})</dt>
            <dd><code>{g.given?.ip}</code> <Copy text={g.given?.ip ?? ''} /></dd>
          </div>
        ))}
      </dl>
      {connections.map((c) => (
        <div className="both" key={c.name}>
          <Configuration name={c.name} side="local" heading={<h3>{t('acc.clientDevice')}</h3>} />
          <Configuration name={c.name} side="remote" heading={<h3>{t('acc.endpointDevice')}</h3>} />
        </div>
      ))}
      {connections.length === 0 && sets.length > 0 && groups.length > 0 && w.who?.role !== 'reader' && <Connect accelerator={accelerator} set={sets[0]} group={groups[0]} />}
    </>
  )
}

/** Makes an IPsec connection between two devices that nobody here manages, so that their configurations can be written. */
function Connect({ accelerator, set, group }: { accelerator: string; set: IPSet; group: EndpointGroup }) {
  const [device, setDevice] = useState('')
  const [near, setNear] = useState('')
  const [far, setFar] = useState('')
  const [error, setError] = useState<unknown>()
  const [wrong, setWrong] = useState<{ device?: string; near?: string; far?: string }>({})
  const list = (text: string) => text.split(',').map((x) => x.trim()).filter(Boolean)
  const make = async () => {
    const need = (v: string) => (v.trim() ? undefined : t('wizard.required'))
    const found = { device: need(device), near: need(near), far: need(far) }
    setWrong(found)
    setError(undefined)
    if (found.device || found.near || found.far) return
    const endpoint = group.endpoints?.[0]
    try {
      await call('ControlService', 'Apply', {
        requestId: requestId(),
        objects: [
          { vpnGateway: { name: `${accelerator}-client`, region: set.region, addresses: [{ bind: device.trim() }], networks: list(near), unmanaged: true } },
          { customerGateway: { name: `${accelerator}-endpoint`, region: set.region, ...(endpoint?.address ? { address: endpoint.address } : { domain: endpoint?.domain }) } },
          { ipsecConnection: { name: accelerator, vpnGateway: `${accelerator}-client`, customerGateway: `${accelerator}-endpoint`, remoteNetworks: list(far), accelerator } },
        ],
      })
    } catch (e) {
      setError(e)
    }
  }
  return (
    <fieldset>
      <legend>{t('acc.connect')}</legend>
      <p>{t('acc.connect.help')}</p>
      <Failure error={error} fields={['addresses', 'networks', 'remote_networks']} />
      <Field label={t('acc.connect.device')} value={device} set={setDevice} wrong={wrong.device} error={error} name="addresses" />
      <Field label={t('acc.connect.near')} value={near} set={setNear} wrong={wrong.near} error={error} name="networks" />
      <Field label={t('acc.connect.far')} value={far} set={setFar} wrong={wrong.far} error={error} name="remote_networks" />
      <div className="buttons"><button type="button" onClick={make}>{t('acc.connect.make')}</button></div>
    </fieldset>
  )
}
