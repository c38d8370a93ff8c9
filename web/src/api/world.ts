// The world as the console knows it: every resource, kept up to date by one
// watch, and the overview of how everything fares, by another. Both are resumed
// when they break; until then what is shown is marked as stale, never cleared.

import { useSyncExternalStore } from 'react'
import { call, Refused, stream, Unreachable, useKey } from './client'
import { type Kind, kinds, type Meta, type Overview, secretKinds } from './types'

export type Link = 'signed-out' | 'connecting' | 'live' | 'stale'

export interface Who {
  name: string
  role: string
  version: string
}

interface Sample {
  at: number
  overview: Overview
}

export interface World {
  link: Link
  why: string // of 'stale' and of a refused sign-in
  heard: number // when anything came last, milliseconds since 1970
  who?: Who
  objects: Map<Kind, Map<string, Meta>>
  overview?: Overview
  before?: Sample // an overview some seconds older, to see rates by
  recent: Sample[] // overviews of the last minutes, oldest first
}

const empty = (): World => ({ link: 'signed-out', why: '', heard: 0, objects: new Map(), recent: [] })

let world = empty()
let running: AbortController | undefined
const listeners = new Set<() => void>()

function set(change: Partial<World>) {
  world = { ...world, ...change }
  for (const l of listeners) l()
}

/** The world now; whoever uses it is drawn anew when it changes. */
export function useWorld(): World {
  return useSyncExternalStore(
    (l) => {
      listeners.add(l)
      return () => listeners.delete(l)
    },
    () => world,
  )
}

const store = 'causeway.key'

/** Signs in with an access key, ID.SECRET, and begins to watch. Throws when it is refused. */
export async function signIn(key: string, remember: boolean): Promise<void> {
  useKey(key)
  set({ link: 'connecting', why: '' })
  try {
    const who = await call<Who>('ControlService', 'WhoAmI')
    sessionStorage.setItem(store, key)
    if (remember) localStorage.setItem(store, key)
    set({ who })
  } catch (e) {
    signOut()
    throw e
  }
  start()
}

/** Signs in with the key that this browser remembers; false when there is none or it is good no more. */
export async function resume(): Promise<boolean> {
  const key = sessionStorage.getItem(store) ?? localStorage.getItem(store)
  if (!key) return false
  for (;;) {
    try {
      await signIn(key, false)
      return true
    } catch (e) {
      if (e instanceof Refused) return false
      useKey(key)
      sessionStorage.setItem(store, key)
      set({ link: 'stale', why: e instanceof Error ? e.message : String(e) })
      await pause(2000)
    }
  }
}

export function signOut() {
  running?.abort()
  running = undefined
  sessionStorage.removeItem(store)
  localStorage.removeItem(store)
  useKey('')
  world = empty()
  set({})
}

const pause = (ms: number) => new Promise((r) => setTimeout(r, ms))

function start() {
  running?.abort()
  running = new AbortController()
  void keep(running.signal, follow)
  void keep(running.signal, watchOverview)
}

/** Runs a watch again and again until signing out. */
async function keep(signal: AbortSignal, run: (signal: AbortSignal) => Promise<void>) {
  let wait = 250
  while (!signal.aborted) {
    const began = Date.now()
    try {
      await run(signal)
      set({ link: 'stale', why: '' })
    } catch (e) {
      if (signal.aborted) return
      if (e instanceof Refused && e.code === 'unauthenticated') {
        signOut()
        set({ why: e.message })
        return
      }
      set({ link: 'stale', why: e instanceof Unreachable ? '' : e instanceof Error ? e.message : String(e) })
    }
    wait = Date.now() - began > 10_000 ? 250 : Math.min(wait * 2, 5000)
    await pause(wait)
  }
}

interface Change {
  revision: string
  change: string
  ref?: { kind: Kind; name: string }
  object?: Record<string, Meta>
}

/** Reads everything, then follows every change. */
async function follow(signal: AbortSignal) {
  const admin = world.who?.role === 'admin'
  const wanted = (Object.keys(kinds) as Kind[]).filter((k) => admin || !secretKinds.includes(k))
  const objects = new Map<Kind, Map<string, Meta>>()
  let after = ''
  await Promise.all(
    wanted.map(async (kind) => {
      const all = new Map<string, Meta>()
      let pageToken = ''
      do {
        const page = await call<Record<string, unknown>>(`${kinds[kind].type}Service`, `List${kinds[kind].type}s`, { pageSize: 1000, pageToken }, signal)
        for (const o of (page[kinds[kind].list] ?? []) as Meta[]) all.set(o.name, o)
        const revision = String(page.revision ?? '0')
        if (after === '' || BigInt(revision) < BigInt(after)) after = revision
        pageToken = String(page.nextPageToken ?? '')
      } while (pageToken)
      objects.set(kind, all)
    }),
  )
  set({ objects, link: 'live', heard: Date.now(), why: '' })
  await stream<Change>(
    'ControlService',
    'Watch',
    { kinds: wanted, afterRevision: after },
    (c) => {
      if (!c.ref) return
      const of = new Map(world.objects.get(c.ref.kind))
      const o = c.object?.[kinds[c.ref.kind].field]
      if (c.change === 'delete') of.delete(c.ref.name)
      else if (o) of.set(c.ref.name, o)
      set({ objects: new Map(world.objects).set(c.ref.kind, of), link: 'live', heard: Date.now() })
    },
    signal,
  )
}

const rateOver = 5000 // milliseconds between the overviews that rates are seen by
const keepRecent = 300 // overviews

async function watchOverview(signal: AbortSignal) {
  // The controller gives a sign of life every five seconds: fifteen of silence are a lost connection.
  const own = new AbortController()
  const stop = () => own.abort()
  signal.addEventListener('abort', stop)
  let last = Date.now()
  const guard = setInterval(() => {
    if (Date.now() - last > 15_000) own.abort()
  }, 1000)
  try {
    await stream<Overview>(
      'OverviewService',
      'WatchOverview',
      { intervalMs: 1000 },
      (overview) => {
        last = Date.now()
        const at = Date.parse(overview.at)
        const recent = [...world.recent, { at, overview }].slice(-keepRecent)
        const before = recent.findLast((s) => at - s.at >= rateOver) ?? recent[0]
        set({ overview, before, recent, link: 'live', heard: last })
      },
      own.signal,
    )
  } catch (e) {
    if (own.signal.aborted && !signal.aborted) throw new Unreachable('')
    throw e
  } finally {
    clearInterval(guard)
    signal.removeEventListener('abort', stop)
  }
}

/** The resources of one kind, in the order of their names. */
export function all<T extends Meta>(w: World, kind: Kind): T[] {
  return [...(w.objects.get(kind)?.values() ?? [])].sort((a, b) => a.name.localeCompare(b.name)) as T[]
}

/** One resource, or undefined. */
export function one<T extends Meta>(w: World, kind: Kind, name: string): T | undefined {
  return w.objects.get(kind)?.get(name) as T | undefined
}

/** Puts a resource that a call just answered with into the world, before the watch tells of it. */
export function put(kind: Kind, o: Meta) {
  const known = world.objects.get(kind)?.get(o.name)
  if (known?.revision && o.revision && BigInt(known.revision) > BigInt(o.revision)) return
  set({ objects: new Map(world.objects).set(kind, new Map(world.objects.get(kind)).set(o.name, o)) })
}
