// The controller's native API as a browser calls it: Connect over HTTP, JSON in
// and out. Unary calls are plain POSTs; a stream is a POST whose answer is a
// sequence of enveloped messages (https://connectrpc.com/docs/protocol).

/** One refusal: which rule, which field, what was found, what is allowed, what to do. */
export interface Problem {
  code?: string
  message?: string
  subject?: { kind: string; name: string }
  field?: string
  found?: string
  allowed?: string
  fix?: string
  refers?: { kind: string; name: string }[]
  more?: Problem[]
}

/** What a call that did not work throws. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly problems: Problem[] = [],
  ) {
    super(message)
  }
}

/** The controller could not be reached: nothing is known of what became of the call. */
export class Unreachable extends Error {}

let key = ''

/** Sets the access key, ID.SECRET, that calls are signed in with. */
export function useKey(k: string) {
  key = k
}

const base = new URL('..', document.baseURI).href // the console lives one folder below the API

function headers(type: string): HeadersInit {
  return { 'Content-Type': type, Authorization: `Bearer ${key}`, 'Connect-Protocol-Version': '1' }
}

interface WireError {
  code?: string
  message?: string
  details?: { type?: string; debug?: Problem }[]
}

function refusal(e: WireError): Refused {
  const problems: Problem[] = []
  for (const d of e.details ?? []) {
    if (d.debug) problems.push(d.debug, ...(d.debug.more ?? []))
  }
  for (const p of problems) p.field = p.field?.replace(/^objects\[\d+\]\./, '') // where it stood in an Apply
  return new Refused(e.code ?? 'unknown', problems[0]?.message ?? e.message ?? 'the controller refused', problems)
}

async function post(service: string, method: string, type: string, body: BodyInit, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(`${base}causeway.v1.${service}/${method}`, { method: 'POST', headers: headers(type), body, signal, cache: 'no-store' })
  } catch (e) {
    if (signal?.aborted) throw e
    throw new Unreachable(e instanceof Error ? e.message : String(e))
  }
}

const tooMany = 429

/** Calls a method of the API. A controller that has had too many requests is asked again when it says. */
export async function call<T>(service: string, method: string, request: object = {}, signal?: AbortSignal): Promise<T> {
  let response = await post(service, method, 'application/json', JSON.stringify(request), signal)
  for (let tries = 0; response.status === tooMany && tries < 3; tries++) {
    const wait = Number(response.headers.get('Retry-After')) || 1
    if (wait > 5) break // longer than a person waits: it is told
    await new Promise((done) => setTimeout(done, wait * 1000))
    response = await post(service, method, 'application/json', JSON.stringify(request), signal)
  }
  if (response.ok) return (await response.json()) as T
  let told: WireError = {}
  try {
    told = (await response.json()) as WireError
  } catch {
    throw new Unreachable(`HTTP ${response.status}`)
  }
  throw refusal(told)
}

function envelope(request: object): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(request))
  const framed = new Uint8Array(5 + text.length)
  new DataView(framed.buffer).setUint32(1, text.length)
  framed.set(text, 5)
  return framed
}

const endOfStream = 2

/** Takes enveloped messages apart as their bytes come in. */
export class Deframer {
  private rest: Uint8Array<ArrayBufferLike> = new Uint8Array(0)

  /** Returns the messages that are whole now, with their flags. */
  push(bytes: Uint8Array): { flags: number; text: string }[] {
    const joined = new Uint8Array(this.rest.length + bytes.length)
    joined.set(this.rest)
    joined.set(bytes, this.rest.length)
    const found: { flags: number; text: string }[] = []
    let at = 0
    while (joined.length - at >= 5) {
      const size = new DataView(joined.buffer, joined.byteOffset + at).getUint32(1)
      if (joined.length - at - 5 < size) break
      found.push({ flags: joined[at], text: new TextDecoder().decode(joined.subarray(at + 5, at + 5 + size)) })
      at += 5 + size
    }
    this.rest = joined.slice(at)
    return found
  }
}

/** Calls a streaming method, and each for every message, until the stream ends. */
export async function stream<T>(service: string, method: string, request: object, each: (m: T) => void, signal: AbortSignal): Promise<void> {
  const response = await post(service, method, 'application/connect+json', envelope(request), signal)
  if (!response.ok || !response.body) throw new Unreachable(`HTTP ${response.status}`)
  const reader = response.body.getReader()
  const frames = new Deframer()
  for (;;) {
    let got: ReadableStreamReadResult<Uint8Array>
    try {
      got = await reader.read()
    } catch (e) {
      if (signal.aborted) throw e
      throw new Unreachable(e instanceof Error ? e.message : String(e))
    }
    if (got.done) return
    for (const f of frames.push(got.value)) {
      if (f.flags & endOfStream) {
        const end = JSON.parse(f.text) as { error?: WireError }
        if (end.error) throw refusal(end.error)
        return
      }
      each(JSON.parse(f.text) as T)
    }
  }
}

/** A token that makes one request safe to repeat. */
export function requestId(): string {
  return `console-${crypto.randomUUID()}`
}
