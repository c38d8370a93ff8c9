import { type ReactNode, useEffect, useState } from 'react'
import { resume, signIn, signOut, useWorld, type World } from './api/world'
import { span } from './format'
import { type Language, languages, setLanguage, t, useLanguage, type Word } from './i18n'
import { Accelerator } from './pages/accelerator'
import { Accelerators } from './pages/accelerators'
import { Access } from './pages/access'
import { Audit } from './pages/audit'
import { History } from './pages/history'
import { OverviewPage } from './pages/overview'
import { PoPPage, PoPs } from './pages/pops'
import { Routes } from './pages/routes'
import { VPN, VPNConnection } from './pages/vpn'
import { Wizard } from './pages/wizard'
import { Failure, Field } from './parts/basics'
import { to, usePath } from './router'
import { setTheme, type Theme, theme } from './theme'

const pages: { path: string; word: Word }[] = [
  { path: '', word: 'nav.overview' },
  { path: 'accelerators', word: 'nav.accelerators' },
  { path: 'vpn', word: 'nav.vpn' },
  { path: 'routes', word: 'nav.routes' },
  { path: 'pops', word: 'nav.pops' },
  { path: 'history', word: 'nav.history' },
  { path: 'audit', word: 'nav.audit' },
  { path: 'access', word: 'nav.access' },
]

export function App() {
  const world = useWorld()
  useLanguage() // drawn anew when it changes
  const [asking, setAsking] = useState(true)
  useEffect(() => {
    void resume().finally(() => setAsking(false))
  }, [])
  if (!world.who) return asking ? <p className="loading" role="status">{t('link.connecting')}</p> : <SignIn why={world.why} />
  return <Signed world={world} />
}

function Signed({ world }: { world: World }) {
  const path = usePath()
  const page = path[0] ?? ''
  const titles = pages.find((p) => p.path === page)
  useEffect(() => {
    document.title = `${titles ? t(titles.word) : ''} · Causeway`
    document.getElementById('content')?.focus({ preventScroll: true })
    scrollTo(0, 0)
  }, [page, titles])
  return (
    <>
      <a className="skip" href="#content" onClick={(e) => { e.preventDefault(); document.getElementById('content')?.focus() }}>
        {t('nav.skip')}
      </a>
      <header>
        <a className="brand" href="#/">
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1 11h14M3 11V8a5 5 0 0 1 10 0v3" /></svg>
          Causeway
        </a>
        <LinkState world={world} />
        <span className="grow" />
        <Preferences />
        <span className="who">{world.who?.name} · {world.who?.role}</span>
        <button type="button" className="small" onClick={signOut}>{t('signin.out')}</button>
      </header>
      <div className="frame">
        <nav aria-label={t('nav.main')}>
          <ul>
            {pages.map((p) => (
              <li key={p.path}>
                <a href={p.path ? to(p.path) : '#/'} aria-current={p.path === page ? 'page' : undefined}>{t(p.word)}</a>
              </li>
            ))}
          </ul>
          <p className="version">{world.who?.version}</p>
        </nav>
        <main id="content" tabIndex={-1} className={world.link === 'stale' ? 'stale' : ''}>{body(page, path.slice(1))}</main>
      </div>
    </>
  )
}

function body(page: string, rest: string[]): ReactNode {
  switch (page) {
    case '':
      return <OverviewPage />
    case 'accelerators':
      if (rest[0] === 'new' && rest.length === 1) return <Wizard />
      return rest[0] ? <Accelerator name={rest[rest.length - 1]} /> : <Accelerators />
    case 'vpn':
      return rest[0] ? <VPNConnection name={rest[0]} /> : <VPN />
    case 'routes':
      return <Routes />
    case 'pops':
      return rest[0] ? <PoPPage name={rest[0]} /> : <PoPs />
    case 'history':
      return <History />
    case 'audit':
      return <Audit />
    case 'access':
      return <Access />
  }
  return <p>{t('common.notfound', 'page', page)}</p>
}

/** Whether what is shown is live, and how old it is when it is not. */
function LinkState({ world }: { world: World }) {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return (
    <span className={`link ${world.link}`} role="status">
      {world.link === 'stale' ? (world.heard ? t('link.stale', span(now - world.heard)) : t('link.connecting')) : t(world.link === 'live' ? 'link.live' : 'link.connecting')}
      {world.link === 'stale' && world.why && <> · {world.why}</>}
    </span>
  )
}

function Preferences() {
  const language = useLanguage()
  const [chosen, choose] = useState<Theme>(theme())
  return (
    <>
      <select className="small" aria-label={t('language.label')} value={language} onChange={(e) => setLanguage(e.target.value as Language)}>
        {Object.entries(languages).map(([code, name]) => (
          <option key={code} value={code} lang={code}>{name}</option>
        ))}
      </select>
      <select
        className="small"
        aria-label={t('theme.label')}
        value={chosen}
        onChange={(e) => {
          setTheme(e.target.value as Theme)
          choose(e.target.value as Theme)
        }}
      >
        {(['system', 'light', 'dark'] as Theme[]).map((v) => (
          <option key={v} value={v}>{t(`theme.${v}`)}</option>
        ))}
      </select>
    </>
  )
}

function SignIn({ why }: { why: string }) {
  const [key, setKey] = useState('')
  const [remember, setRemember] = useState(false)
  const [wrong, setWrong] = useState(why)
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  useEffect(() => {
    document.title = `${t('signin.title')} · Causeway`
  }, [])
  return (
    <main className="signin">
      <h1>Causeway</h1>
      <p>{t('app.tagline')}</p>
      <form
        noValidate
        onSubmit={async (e) => {
          e.preventDefault()
          setError(undefined)
          if (!/^\S+\.\S+$/.test(key.trim())) {
            setWrong(t('signin.missing'))
            return
          }
          setWrong('')
          setBusy(true)
          try {
            await signIn(key.trim(), remember)
          } catch (x) {
            setError(x)
          }
          setBusy(false)
        }}
      >
        <Failure error={error} />
        <Field label={t('signin.key')} help={t('signin.help')} type="password" value={key} set={setKey} wrong={wrong} autoFocus required />
        <label className="check">
          <input type="checkbox" checked={remember} onChange={(e) => setRemember(e.target.checked)} /> {t('signin.remember')}
        </label>
        <div className="buttons">
          <button type="submit" className="primary" disabled={busy}>{t('signin.submit')}</button>
        </div>
      </form>
      <div className="buttons"><Preferences /></div>
    </main>
  )
}
