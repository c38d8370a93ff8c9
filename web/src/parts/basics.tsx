import { type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { type Problem, Refused, Unreachable } from '../api/client'
import { state as stateWord, t } from '../i18n'

const good = ['active', 'connected', 'bound', 'in-use', 'usable', 'ipsec_sa_established', 'up', 'ok']
const bad = ['refused', 'blocked', 'away', 'expired', 'ike_sa_not_established', 'down', 'Critical']

/** A state in a word, with a mark that does not rely on colour. */
export function State({ of, why }: { of?: string; why?: string }) {
  if (!of) return <>–</>
  const tone = good.includes(of) ? 'good' : bad.includes(of) ? 'bad' : 'wait'
  return (
    <span className={`state ${tone}`} title={why}>
      <span aria-hidden="true">{tone === 'good' ? '●' : tone === 'bad' ? '▲' : '◐'}</span> {stateWord(of)}
    </span>
  )
}

/** What went wrong, field by field, and what to do. */
export function Failure({ error, fields = [] }: { error: unknown; fields?: string[] }) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (error) box.current?.focus()
  }, [error])
  if (!error) return null
  if (error instanceof Unreachable) return <div className="failure" role="alert" tabIndex={-1} ref={box}>{t('failed.unreachable')}</div>
  const problems: Problem[] = error instanceof Refused && error.problems.length > 0 ? error.problems : [{ message: error instanceof Error ? error.message : String(error) }]
  const shown = problems.filter((p) => !p.field || !fields.some((f) => matches(p.field, f)))
  if (shown.length === 0) return null
  return (
    <div className="failure" role="alert" tabIndex={-1} ref={box}>
      <strong>{t('failed.title')}</strong>
      <ul>
        {shown.map((p, i) => (
          <li key={i}>
            <Told problem={p} />
          </li>
        ))}
      </ul>
    </div>
  )
}

function Told({ problem: p }: { problem: Problem }) {
  return (
    <>
      {p.field && <code>{p.field}</code>} {p.message}
      {p.found && <>; {t('failed.found', p.found)}</>}
      {p.allowed && <>; {t('failed.allowed', p.allowed)}</>}
      {p.fix && <div className="fix">{p.fix}</div>}
    </>
  )
}

/** Reports whether the API's name of a field, endpoints[0].address, is about one of ours, endpoints. */
export function matches(field: string | undefined, own: string): boolean {
  return !!field && (field === own || field.startsWith(`${own}.`) || field.startsWith(`${own}[`))
}

/** A labelled input with its help, and what the API or the form finds wrong with it. */
export function Field(props: {
  label: string
  help?: string
  value: string
  set: (v: string) => void
  wrong?: string // found by the form
  error?: unknown // of the last call
  name?: string // as the API calls the field
  type?: string
  autoFocus?: boolean
  required?: boolean
  options?: { value: string; label: string }[]
}) {
  const id = useId()
  const told = props.name && props.error instanceof Refused ? props.error.problems.find((p) => matches(p.field, props.name ?? '')) : undefined
  const wrong = props.wrong || (told ? [told.message, told.allowed && t('failed.allowed', told.allowed), told.fix].filter(Boolean).join('; ') : '')
  const common = {
    id,
    value: props.value,
    required: props.required,
    autoFocus: props.autoFocus,
    'aria-describedby': `${id}-help`,
    'aria-invalid': wrong ? true : undefined,
  }
  return (
    <div className="field">
      <label htmlFor={id}>{props.label}</label>
      {props.options ? (
        <select {...common} onChange={(e) => props.set(e.target.value)}>
          {props.options.map((o) => (
            <option key={o.value} value={o.value}>
              {o.label}
            </option>
          ))}
        </select>
      ) : (
        <input {...common} type={props.type ?? 'text'} autoComplete="off" spellCheck={false} onChange={(e) => props.set(e.target.value)} />
      )}
      <div id={`${id}-help`}>
        {props.help && <span className="help">{props.help}</span>}
        {wrong && (
          <span className="wrong" role="alert">
            {wrong}
          </span>
        )}
      </div>
    </div>
  )
}

export function Copy({ text }: { text: string }) {
  const [done, setDone] = useState(false)
  return (
    <button
      type="button"
      className="small"
      onClick={async () => {
        await navigator.clipboard.writeText(text)
        setDone(true)
        setTimeout(() => setDone(false), 2000)
      }}
    >
      <span aria-live="polite">{done ? t('common.copied') : t('common.copy')}</span>
    </button>
  )
}

/** Offers a text as a file. */
export function Download({ name, text }: { name: string; text: string }) {
  return (
    <a className="button small" download={name} href={`data:text/plain;charset=utf-8,${encodeURIComponent(text)}`}>
      {t('common.download')}
    </a>
  )
}

/** A dialog that keeps the focus inside, and closes on Escape. */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ReactNode }) {
  const box = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const d = box.current
    d?.showModal()
    return () => d?.close()
  }, [])
  return (
    <dialog
      ref={box}
      aria-labelledby={id}
      onCancel={(e) => {
        e.preventDefault()
        close()
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}

/** Asks before something is deleted, and shows why it could not be. */
export function ConfirmDelete({ what, run, close }: { what: string; run: () => Promise<unknown>; close: () => void }) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  return (
    <Dialog title={t('confirm.delete', what)} close={close}>
      <p>{t('confirm.delete.text')}</p>
      <Failure error={error} />
      <div className="buttons">
        <button type="button" onClick={close}>
          {t('common.cancel')}
        </button>
        <button
          type="button"
          className="danger"
          disabled={busy}
          onClick={async () => {
            setBusy(true)
            try {
              await run()
              close()
            } catch (e) {
              setError(e)
            }
            setBusy(false)
          }}
        >
          {t('common.delete')}
        </button>
      </div>
    </Dialog>
  )
}

export interface Column<T> {
  title: string
  cell: (row: T) => ReactNode
  text?: (row: T) => string // what the filter looks at, and sorting goes by
  number?: (row: T) => number // sorts by it
}

const pageSize = 50

/** A table with a filter, sorting by its headers, and pages. */
export function Table<T>({ rows, columns, id, empty, caption }: { rows: T[]; columns: Column<T>[]; id: (row: T) => string; empty?: ReactNode; caption: string }) {
  const [filter, setFilter] = useState('')
  const [page, setPage] = useState(0)
  const [by, setBy] = useState<{ column: number; down: boolean }>()
  const wanted = filter.trim().toLowerCase()
  let shown = wanted ? rows.filter((r) => columns.some((c) => c.text?.(r).toLowerCase().includes(wanted))) : rows
  const c = by && columns[by.column]
  if (by && c) {
    const less = (a: T, b: T) => (c.number ? c.number(a) - c.number(b) : (c.text?.(a) ?? '').localeCompare(c.text?.(b) ?? '', undefined, { numeric: true }))
    shown = [...shown].sort((a, b) => (by.down ? less(b, a) : less(a, b)))
  }
  const pages = Math.max(1, Math.ceil(shown.length / pageSize))
  const at = Math.min(page, pages - 1)
  const filterId = useId()
  if (rows.length === 0) return <p className="empty">{empty ?? t('common.none')}</p>
  return (
    <div className="table">
      {rows.length > 8 && (
        <div className="filter">
          <label htmlFor={filterId}>{t('common.filter')}</label>
          <input
            id={filterId}
            type="search"
            value={filter}
            onChange={(e) => {
              setFilter(e.target.value)
              setPage(0)
            }}
          />
        </div>
      )}
      <div className="scroll" tabIndex={0} role="region" aria-label={caption}>
        <table>
          <caption className="hidden">{caption}</caption>
          <thead>
            <tr>
              {columns.map((c, i) => (
                <th key={c.title} scope="col" aria-sort={by?.column === i ? (by.down ? 'descending' : 'ascending') : undefined}>
                  {c.text || c.number ? (
                    <button type="button" className="sort" onClick={() => setBy({ column: i, down: by?.column === i && !by.down })}>
                      {c.title}
                      <span aria-hidden="true">{by?.column === i ? (by.down ? ' ▾' : ' ▴') : ''}</span>
                    </button>
                  ) : (
                    c.title
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.slice(at * pageSize, (at + 1) * pageSize).map((r) => (
              <tr key={id(r)}>
                {columns.map((c, i) =>
                  i === 0 ? (
                    <th key={c.title} scope="row">
                      {c.cell(r)}
                    </th>
                  ) : (
                    <td key={c.title}>{c.cell(r)}</td>
                  ),
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length === 0 && <p className="empty">{t('common.nothing', filter)}</p>}
      {pages > 1 && (
        <nav className="pages" aria-label={caption}>
          <button type="button" disabled={at === 0} onClick={() => setPage(at - 1)} aria-label={t('common.previous')}>
            ‹
          </button>
          <span>{t('common.page', at * pageSize + 1, Math.min(shown.length, (at + 1) * pageSize), shown.length)}</span>
          <button type="button" disabled={at >= pages - 1} onClick={() => setPage(at + 1)} aria-label={t('common.following')}>
            ›
          </button>
        </nav>
      )}
    </div>
  )
}

/** One figure with what it means. */
export function Tile({ title, value, help, tone }: { title: string; value: ReactNode; help?: string; tone?: 'good' | 'bad' | 'wait' }) {
  return (
    <div className={`tile ${tone ?? ''}`}>
      <dt>{title}</dt>
      <dd>
        <span className="value">{value}</span>
        {help && <span className="help">{help}</span>}
      </dd>
    </div>
  )
}
