// The tutorial's way to an accelerator, step by step. Each step is judged by the
// controller without changing anything; the last one makes all of it in one
// transaction, so that nothing is ever left half made.

import { useEffect, useRef, useState } from 'react'
import { call, Refused, requestId } from '../api/client'
import type { Accelerator, EgressIP, EndpointGroup, IPSet, Listener, PoP, Region } from '../api/types'
import { all, one, useWorld, type World } from '../api/world'
import { readPorts } from '../format'
import { t, type Word } from '../i18n'
import { Failure, Field, State } from '../parts/basics'
import { DeviceConfigurations } from '../parts/devices'
import { to } from '../router'

const steps: Word[] = ['wizard.name', 'wizard.region', 'wizard.listener', 'wizard.endpoint', 'wizard.egress', 'wizard.done']

interface Answers {
  name: string
  region: string
  mbps: string
  ports: string
  idle: string
  endpoint: string
  endpointRegion: string
  egress: string // '' one that goes with the group; '+' a new reserved one; otherwise its name
  cross: string
}

const draft = 'causeway.wizard'
const fresh: Answers = { name: '', region: '', mbps: '0', ports: '500, 4500', idle: '300', endpoint: '', endpointRegion: '', egress: '+', cross: '10' }

/** What was typed survives a reload, a lost connection and a refusal. */
function kept(): Answers {
  try {
    return { ...fresh, ...(JSON.parse(sessionStorage.getItem(draft) ?? '{}') as Partial<Answers>) }
  } catch {
    return fresh
  }
}

type Wrong = Partial<Record<keyof Answers, string>>

/** What the browser can judge by itself; the controller judges everything again. */
export function judge(step: number, a: Answers): Wrong {
  const wrong: Wrong = {}
  const need = (field: keyof Answers) => {
    if (!a[field].trim()) wrong[field] = t('wizard.required')
  }
  const whole = (field: keyof Answers, least: number) => {
    if (!/^\d+$/.test(a[field].trim()) || Number(a[field]) < least) wrong[field] = t('wizard.numberBad', least)
  }
  switch (step) {
    case 0:
      need('name')
      break
    case 1:
      need('region')
      whole('mbps', 0)
      break
    case 2: {
      const { bad } = readPorts(a.ports)
      if (bad !== undefined) wrong.ports = t('wizard.portsBad', bad)
      whole('idle', 10)
      break
    }
    case 3:
      need('endpoint')
      need('endpointRegion')
      break
  }
  return wrong
}

function crossBorder(w: World, a: Answers): boolean {
  const area = (name: string) => one<Region>(w, 'region', name)?.area
  return !!a.region && !!a.endpointRegion && area(a.region) !== area(a.endpointRegion)
}

/** Everything up to a step as objects of the API. */
export function objects(a: Answers, upTo: number, cross: boolean): object[] {
  const list: object[] = [{ accelerator: { name: a.name } }]
  if (upTo >= 1) list.push({ ipSet: { name: `${a.name}-${a.region}`, accelerator: a.name, region: a.region, mbps: Number(a.mbps) } })
  if (upTo >= 2) list.push({ listener: { name: `${a.name}-ipsec`, accelerator: a.name, protocol: 'udp', ports: readPorts(a.ports).ports, idleTimeout: `${a.idle.trim()}s` } })
  if (upTo >= 3) {
    const address = a.endpoint.trim()
    const isAddress = /^[\d.]+$|:/.test(address)
    const group: Record<string, unknown> = {
      name: `${a.name}-${a.endpointRegion}`,
      listener: `${a.name}-ipsec`,
      region: a.endpointRegion,
      endpoints: [isAddress ? { address } : { domain: address }],
    }
    if (upTo >= 4 && a.egress) {
      const egress = a.egress === '+' ? `${a.name}-off` : a.egress
      if (a.egress === '+') list.push({ egressIp: { name: egress, region: a.endpointRegion } })
      group.egressIp = egress
    }
    list.push({ endpointGroup: group })
    if (upTo >= 4 && cross) list.push({ bandwidthPackage: { name: `${a.name}-cross`, type: 'cross-domain', mbps: Number(a.cross), accelerator: a.name } })
  }
  return list
}

export function Wizard() {
  const w = useWorld()
  const [a, setA] = useState<Answers>(kept)
  const [step, setStep] = useState(0)
  const [wrong, setWrong] = useState<Wrong>({})
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const [made, setMade] = useState(false)
  const request = useRef(requestId()) // one for the whole wizard: pressing twice makes one accelerator
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (!made) sessionStorage.setItem(draft, JSON.stringify(a))
  }, [a, made])
  useEffect(() => heading.current?.focus(), [step])

  const regions = all<Region>(w, 'region').filter((r) => all<PoP>(w, 'pop').some((p) => p.region === r.name))
  const options = [{ value: '', label: '…' }, ...regions.map((r) => ({ value: r.name, label: r.title ? `${r.title} (${r.name})` : r.name }))]
  const cross = crossBorder(w, a)
  const fields = (kind: string) => (error instanceof Refused ? new Refused(error.code, error.message, error.problems.filter((p) => !p.subject || p.subject.kind === kind)) : undefined)
  const edit = (field: keyof Answers) => (v: string) => {
    setA({ ...a, [field]: v })
    request.current = requestId() // another question
  }

  const next = async () => {
    const found = judge(step, a)
    if (step === 4 && cross && (!/^\d+$/.test(a.cross) || Number(a.cross) < 2)) found.cross = t('wizard.numberBad', 2)
    setWrong(found)
    setError(undefined)
    if (Object.keys(found).length > 0) return
    setBusy(true)
    try {
      const last = step === 4
      await call('ControlService', 'Apply', { objects: objects(a, step, cross), requestId: last ? request.current : requestId(), dryRun: !last })
      if (last) {
        setMade(true)
        sessionStorage.removeItem(draft)
      }
      setStep(step + 1)
    } catch (e) {
      setError(e)
    }
    setBusy(false)
  }

  return (
    <>
      <h1>{t('wizard.title')}</h1>
      <ol className="steps">
        {steps.map((word, i) => (
          <li key={word} aria-current={i === step ? 'step' : undefined} className={i < step ? 'past' : i === step ? 'now' : ''}>{t(word)}</li>
        ))}
      </ol>
      <form
        className="card"
        noValidate
        onSubmit={(e) => {
          e.preventDefault()
          void next()
        }}
      >
        <h2 ref={heading} tabIndex={-1}>{t('wizard.step', step + 1, steps.length, t(steps[step]))}</h2>
        <Failure error={error} fields={shownFields[step]} />
        {regions.length === 0 && step === 1 && <p className="failure" role="alert">{t('wizard.noRegions')}</p>}
        {step === 0 && <Field label={t('wizard.name')} help={t('wizard.name.help')} value={a.name} set={edit('name')} wrong={wrong.name} error={fields('accelerator')} name="name" required />}
        {step === 1 && (
          <>
            <Field label={t('wizard.region')} help={t('wizard.region.help')} value={a.region} set={edit('region')} wrong={wrong.region} error={fields('ip-set')} name="region" options={options} required />
            <Field label={t('wizard.mbps')} help={t('wizard.mbps.help')} value={a.mbps} set={edit('mbps')} wrong={wrong.mbps} error={fields('ip-set')} name="mbps" />
          </>
        )}
        {step === 2 && (
          <>
            <p>{t('wizard.listener.help')}</p>
            <Field label={t('wizard.ports')} help={t('wizard.ports.help')} value={a.ports} set={edit('ports')} wrong={wrong.ports} error={fields('listener')} name="ports" required />
            <Field label={t('wizard.idle')} value={a.idle} set={edit('idle')} wrong={wrong.idle} error={fields('listener')} name="idle_timeout" required />
          </>
        )}
        {step === 3 && (
          <>
            <p>{t('wizard.endpoint.help')}</p>
            <Field label={t('wizard.endpointAddress')} value={a.endpoint} set={edit('endpoint')} wrong={wrong.endpoint} error={fields('endpoint-group')} name="endpoints" required />
            <Field label={t('wizard.endpointRegion')} value={a.endpointRegion} set={edit('endpointRegion')} wrong={wrong.endpointRegion} error={fields('endpoint-group')} name="region" options={options} required />
          </>
        )}
        {step === 4 && (
          <>
            <p>{t('wizard.egress.help')}</p>
            <Field
              label={t('wizard.egress.which')}
              value={a.egress}
              set={edit('egress')}
              error={fields('endpoint-group')}
              name="egress_ip"
              options={[
                { value: '+', label: t('wizard.egress.new') },
                { value: '', label: t('wizard.egress.temporary') },
                ...all<EgressIP>(w, 'egress-ip').filter((e) => e.region === a.endpointRegion && !e.status?.endpointGroup).map((e) => ({ value: e.name, label: `${e.name} (${e.given?.ip ?? ''})` })),
              ]}
            />
            {cross && <Field label={t('wizard.cross')} help={t('wizard.cross.help')} value={a.cross} set={edit('cross')} wrong={wrong.cross} error={fields('bandwidth-package')} name="mbps" />}
            <p className="help">{t('wizard.review')}</p>
          </>
        )}
        {step === 5 && <Done w={w} name={a.name} />}
        <div className="buttons">
          {step > 0 && step < 5 && <button type="button" onClick={() => { setStep(step - 1); setError(undefined); setWrong({}) }}>{t('common.back')}</button>}
          {step < 5 && <button type="submit" className="primary" disabled={busy}>{step === 4 ? t('wizard.make') : t('common.next')}</button>}
          {step === 5 && <a className="button primary" href={to('accelerators', a.name)}>{t('wizard.toAccelerator')}</a>}
        </div>
      </form>
    </>
  )
}

/** The API's names of the fields that each step shows: what is wrong with them stands beside them. */
const shownFields = [['name'], ['region', 'mbps'], ['ports', 'idle_timeout'], ['endpoints', 'region'], ['egress_ip', 'mbps'], []]

function Done({ w, name }: { w: World; name: string }) {
  const acc = one<Accelerator>(w, 'accelerator', name)
  const ready = acc?.status?.state === 'active'
  return (
    <>
      <p role="status">
        <State of={acc?.status?.state} /> {ready ? t('wizard.ready') : t('wizard.made')} {acc?.status?.reason}
      </p>
      <DeviceConfigurations
        accelerator={name}
        sets={all<IPSet>(w, 'ip-set').filter((s) => s.accelerator === name)}
        groups={all<EndpointGroup>(w, 'endpoint-group').filter((g) => all<Listener>(w, 'listener').some((l) => l.name === g.listener && l.accelerator === name))}
      />
    </>
  )
}
