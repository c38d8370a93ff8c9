import { useState } from 'react'
import { call, requestId } from '../api/client'
import type { AccessKey, Kind, PoP, Token } from '../api/types'
import { all, put, useWorld } from '../api/world'
import { instant } from '../format'
import { t } from '../i18n'
import { ConfirmDelete, Copy, Dialog, Failure, Field, State, Table } from '../parts/basics'
import { remove } from './accelerator'

export function Access() {
  const w = useWorld()
  const [making, setMaking] = useState<'access-key' | 'token'>()
  const [deleting, setDeleting] = useState<{ kind: Kind; name: string }>()
  if (w.who?.role !== 'admin') {
    return (
      <>
        <h1>{t('access.title')}</h1>
        <p>{t('access.adminOnly', w.who?.role ?? '')}</p>
      </>
    )
  }
  const del = (kind: Kind, name: string) => (
    <button type="button" className="small danger" onClick={() => setDeleting({ kind, name })}>{t('common.delete')}</button>
  )
  return (
    <>
      <h1>{t('access.title')}</h1>
      <section className="card">
        <div className="head">
          <h2>{t('access.keys')}</h2>
          <button type="button" className="primary" onClick={() => setMaking('access-key')}>{t('access.newKey')}</button>
        </div>
        <Table
          caption={t('access.keys')}
          rows={all<AccessKey>(w, 'access-key')}
          id={(k) => k.name}
          columns={[
            { title: t('common.name'), text: (k) => k.name, cell: (k) => k.name },
            { title: 'ID', text: (k) => k.id ?? '', cell: (k) => <code>{k.id}</code> },
            { title: t('access.role'), text: (k) => k.role ?? '', cell: (k) => k.role },
            { title: t('common.state'), cell: (k) => <State of={k.status?.state} /> },
            { title: t('common.actions'), cell: (k) => del('access-key', k.name) },
          ]}
        />
      </section>
      <section className="card">
        <div className="head">
          <h2>{t('access.tokens')}</h2>
          <button type="button" className="primary" onClick={() => setMaking('token')}>{t('access.newToken')}</button>
        </div>
        <Table
          caption={t('access.tokens')}
          rows={all<Token>(w, 'token')}
          id={(k) => k.name}
          columns={[
            { title: t('common.name'), text: (k) => k.name, cell: (k) => k.name },
            { title: t('access.pop'), text: (k) => k.pop ?? '', cell: (k) => k.pop },
            { title: t('access.expires'), text: (k) => k.given?.expires ?? '', cell: (k) => instant(k.given?.expires) },
            { title: t('common.state'), cell: (k) => <State of={k.status?.state} /> },
            { title: t('common.actions'), cell: (k) => del('token', k.name) },
          ]}
        />
      </section>
      {making && <Make kind={making} pops={all<PoP>(w, 'pop')} close={() => setMaking(undefined)} />}
      {deleting && <ConfirmDelete what={deleting.name} close={() => setDeleting(undefined)} run={() => remove(deleting.kind, deleting.name)} />}
    </>
  )
}

function Make({ kind, pops, close }: { kind: 'access-key' | 'token'; pops: PoP[]; close: () => void }) {
  const [name, setName] = useState('')
  const [role, setRole] = useState('reader')
  const [pop, setPop] = useState(pops[0]?.name ?? '')
  const [hours, setHours] = useState('24')
  const [secret, setSecret] = useState('')
  const [error, setError] = useState<unknown>()
  const make = async () => {
    setError(undefined)
    try {
      if (kind === 'access-key') {
        const made = await call<{ accessKey: AccessKey; secret: string }>('AccessKeyService', 'CreateAccessKey', { accessKey: { name, role }, requestId: requestId() })
        put(kind, made.accessKey)
        setSecret(`${made.accessKey.id}.${made.secret}`)
      } else {
        const made = await call<{ token: Token; secret: string }>('TokenService', 'CreateToken', { token: { name, pop, ttl: `${Number(hours) * 3600}s` }, requestId: requestId() })
        put(kind, made.token)
        setSecret(made.secret)
      }
    } catch (e) {
      setError(e)
    }
  }
  return (
    <Dialog title={t(kind === 'token' ? 'access.newToken' : 'access.newKey')} close={close}>
      {secret ? (
        <>
          <p>{t('access.secret')}</p>
          <pre className="secret">{secret}</pre>
          <Copy text={secret} />
          {kind === 'token' && (
            <>
              <p>{t('access.enrol')}</p>
              <pre>{`echo '${secret}' | sudo install -m 600 /dev/stdin /etc/causeway/token\nsudo causeway pop --controller ${location.origin} --token-file /etc/causeway/token`}</pre>
            </>
          )}
          <div className="buttons"><button type="button" onClick={close}>{t('common.close')}</button></div>
        </>
      ) : (
        <form
          noValidate
          onSubmit={(e) => {
            e.preventDefault()
            void make()
          }}
        >
          <Failure error={error} fields={['name', 'role', 'pop', 'ttl']} />
          <Field label={t('common.name')} value={name} set={setName} error={error} name="name" autoFocus />
          {kind === 'access-key' ? (
            <Field label={t('access.role')} value={role} set={setRole} error={error} name="role" options={(['reader', 'operator', 'admin'] as const).map((r) => ({ value: r, label: t(`access.role.${r}`) }))} />
          ) : (
            <>
              <Field label={t('access.pop')} value={pop} set={setPop} error={error} name="pop" options={pops.map((p) => ({ value: p.name, label: p.name }))} />
              <Field label={t('access.ttl')} value={hours} set={setHours} error={error} name="ttl" />
            </>
          )}
          <div className="buttons">
            <button type="button" onClick={close}>{t('common.cancel')}</button>
            <button type="submit" className="primary">{t('common.create')}</button>
          </div>
        </form>
      )}
    </Dialog>
  )
}
