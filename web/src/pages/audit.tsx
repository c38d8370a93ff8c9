import { useEffect, useState } from 'react'
import { call } from '../api/client'
import { useWorld } from '../api/world'
import { instant } from '../format'
import { t } from '../i18n'
import { Failure, Table } from '../parts/basics'

interface Entry {
  at: string
  caller: string
  role: string
  from?: string
  method: string
  requestId?: string
  changes?: { kind: string; name: string; action: string; fields?: string[] }[]
}

export function Audit() {
  const w = useWorld()
  const [entries, setEntries] = useState<Entry[]>()
  const [next, setNext] = useState('')
  const [error, setError] = useState<unknown>()
  const changed = [...w.objects.values()].map((of) => [...of.values()].reduce((n, o) => Math.max(n, Number(o.revision ?? 0)), 0) + of.size).join()
  useEffect(() => {
    const stop = new AbortController()
    call<{ entries?: Entry[]; nextPageToken?: string }>('AuditService', 'ListAudit', { pageSize: 500 }, stop.signal)
      .then((page) => {
        setEntries(page.entries ?? [])
        setNext(page.nextPageToken ?? '')
        setError(undefined)
      })
      .catch((e) => stop.signal.aborted || setError(e))
    return () => stop.abort()
  }, [changed])
  const more = async () => {
    try {
      const page = await call<{ entries?: Entry[]; nextPageToken?: string }>('AuditService', 'ListAudit', { pageSize: 500, pageToken: next })
      setEntries([...(entries ?? []), ...(page.entries ?? [])])
      setNext(page.nextPageToken ?? '')
    } catch (e) {
      setError(e)
    }
  }
  const what = (e: Entry) => (e.changes ?? []).map((c) => `${c.action === 'reveal' ? t('audit.reveal') : c.action} ${c.kind} ${c.name}${c.fields?.length ? `: ${c.fields.join(', ')}` : ''}`)
  return (
    <>
      <h1>{t('audit.title')}</h1>
      <Failure error={error} />
      {!entries && !error && <p role="status">{t('common.loading')}</p>}
      {entries && (
        <Table
          caption={t('audit.title')}
          rows={entries}
          id={(e) => `${e.at} ${e.method} ${e.requestId ?? ''}`}
          empty={t('audit.none')}
          columns={[
            { title: t('audit.when'), text: (e) => e.at, cell: (e) => instant(e.at) },
            { title: t('audit.who'), text: (e) => `${e.caller} ${e.role}`, cell: (e) => <>{e.caller} <span className="help">{e.role}</span></> },
            { title: t('audit.from'), text: (e) => e.from ?? '', cell: (e) => e.from ? <code>{e.from}</code> : '' },
            { title: t('audit.what'), text: (e) => e.method, cell: (e) => e.method },
            { title: t('audit.on'), text: (e) => what(e).join(' '), cell: (e) => what(e).map((x) => <div key={x}>{x}</div>) },
          ]}
        />
      )}
      {next && <button type="button" onClick={more}>{t('common.following')}</button>}
    </>
  )
}
