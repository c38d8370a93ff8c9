// The console in a real browser against a real controller and two real PoPs, in
// a network namespace that scripts/web-test.sh makes: run it by that.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test as step } from 'node:test'
import { promisify } from 'node:util'
import axe from 'axe-core'
import { chromium } from 'playwright-core'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
const causeway = path.join(root, 'bin/causeway')
const dir = mkdtempSync(path.join(tmpdir(), 'causeway-console-'))
const pictures = process.env.SCREENSHOTS // a folder to leave pictures in, if wanted
const origin = 'https://127.0.0.1:4640'
const patience = 30_000 // milliseconds that anything may take on a busy machine

const children = new Map()
let browser
let page
let key

function start(name, ...args) {
  const log = openSync(path.join(dir, `${name}.log`), 'a')
  const child = spawn(causeway, args, { stdio: ['ignore', log, log], cwd: dir })
  child.ended = new Promise((resolve) => child.on('exit', resolve))
  children.set(name, child)
  return child
}

async function stop(name, signal = 'SIGTERM') {
  const child = children.get(name)
  children.delete(name)
  child?.kill(signal)
  await child?.ended
}

async function cli(...args) {
  const { stdout } = await run(causeway, args, { env: { ...process.env, CAUSEWAY_PROFILE: path.join(dir, 'c/admin.yaml') }, cwd: dir })
  return stdout
}

async function until(what, check) {
  const end = Date.now() + patience
  for (;;) {
    const found = await check()
    if (found) return found
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((r) => setTimeout(r, 100))
  }
}

const controller = () => start('controller', 'controller', '--data-dir', 'c', '--listen', '127.0.0.1:4640')
const pop = (name, ...more) => start(name, 'pop', '--controller', origin, '--state-dir', name, '--socket', `${name}.sock`, ...more)

before(async () => {
  controller()
  await until('the first access key', () => existsSync(path.join(dir, 'c/admin.yaml')))
  key = /access_key:\s*"?([^"\s]+)/.exec(readFileSync(path.join(dir, 'c/admin.yaml'), 'utf8'))[1]
  await until('the controller', () => cli('region', 'list').then(() => true, () => false))
  await cli('region', 'create', 'cn-shanghai', '--title', 'Shanghai')
  await cli('region', 'create', 'kr-seoul', '--title', 'Seoul')
  await cli('pop', 'create', 'shanghai', '--region', 'cn-shanghai', '--overlay', '198.51.100.10:4600', '--address', '198.51.100.11', '--address', '198.51.100.12')
  await cli('pop', 'create', 'seoul', '--region', 'kr-seoul', '--overlay', '198.51.100.20:4600', '--address', '198.51.100.21', '--address', '198.51.100.22')
  for (const name of ['shanghai', 'seoul']) {
    writeFileSync(path.join(dir, `${name}.token`), await cli('token', 'create', '--pop', name, '-q'))
    pop(name, '--token-file', `${name}.token`)
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server'],
  })
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-GB', viewport: { width: 1280, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'] })
  context.setDefaultTimeout(patience)
  page = await context.newPage()
  page.on('pageerror', (e) => faults.push(`an error in the page: ${e.message}`))
  page.on('console', (m) => m.type() === 'error' && !/ERR_CONNECTION|Failed to load resource|net::ERR/.test(m.text()) && faults.push(`on the browser's console: ${m.text()}`))
})

const faults = []

/** One step of the story; after a failure the rest is left out, since each builds on the one before. */
let broken = false
function test(name, body) {
  step(name, async (t) => {
    if (broken) return t.skip('a step before it failed')
    try {
      await body()
    } catch (e) {
      broken = true
      for (const f of faults) console.log(`# ${f}`)
      if (pictures) await page?.screenshot({ path: path.join(pictures, 'failed.png') }).catch(() => {})
      throw e
    }
  })
}

after(async () => {
  await browser?.close()
  for (const name of [...children.keys()]) await stop(name)
  if (process.env.KEEP) console.log(dir, readdirSync(dir))
  else rmSync(dir, { recursive: true, force: true })
})

/** No page may have anything that axe finds wrong, in light and in dark. */
async function accessible(what) {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme })
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
    const told = violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => n.html.slice(0, 160)).join('\n  ')}`)
    assert.deepEqual(told, [], `${what}, ${scheme}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
}

async function picture(name) {
  if (!pictures) return
  mkdirSync(pictures, { recursive: true })
  await page.screenshot({ path: path.join(pictures, `${name}.png`) })
}

const heading = (name) => page.getByRole('heading', { name, level: 1 })
const open = (link) => page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: link }).click()

test('a wrong access key is refused, and what was typed stays', async () => {
  const began = Date.now()
  await page.goto(`${origin}/`)
  await heading('Causeway').waitFor()
  console.log(`# first paint of the sign-in page after ${Date.now() - began} ms`)
  await accessible('sign-in')
  await page.getByLabel('Access key').fill('nonsense')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('Enter an access key: ID.SECRET.').waitFor()
  await page.getByLabel('Access key').fill('AKWRONG.secret')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').filter({ hasText: 'That did not work' }).waitFor()
  assert.equal(await page.getByLabel('Access key').inputValue(), 'AKWRONG.secret')
  await accessible('a refused sign-in')
})

test('signing in shows the overview, live', async () => {
  await page.getByLabel('Access key').fill(key)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await heading('Overview').waitFor()
  await page.getByText('Live', { exact: true }).waitFor()
  await page.getByText('2 / 2').first().waitFor() // both PoPs are connected
  await page.getByRole('link', { name: 'New accelerator' }).waitFor()
  await accessible('an empty overview')
})

test('every step of the wizard judges what is typed, and makes an accelerator that works', async () => {
  await open('Accelerators')
  await page.getByRole('link', { name: 'New accelerator' }).click()
  const next = page.getByRole('button', { name: 'Next' })

  await next.click() // nothing typed
  await page.getByText('Fill this in.').waitFor()
  await page.getByLabel('Name').fill('Not A Name')
  await next.click() // the controller refuses
  await page.locator('.wrong').waitFor()
  assert.equal(await page.getByLabel('Name').inputValue(), 'Not A Name')
  await accessible('a refused step')
  await page.getByLabel('Name').fill('office')
  await next.click()

  await page.getByLabel('Acceleration region').selectOption('cn-shanghai')
  await page.getByLabel('Bandwidth, Mbit/s').fill('much')
  await next.click()
  await page.getByText('A whole number is needed').waitFor()
  await page.getByLabel('Bandwidth, Mbit/s').fill('0')
  await accessible('the region')
  await next.click()

  await page.getByLabel('UDP ports').fill('500, 70000')
  await next.click()
  await page.getByText('“70000” is no port or range').waitFor()
  await page.getByLabel('UDP ports').fill('500, 4500')
  await accessible('the listener')
  await next.click()

  await page.getByLabel('IP address or domain').fill('127.0.0.1') // nobody may be sent there
  await page.getByLabel('Region where traffic leaves').selectOption('kr-seoul')
  await next.click()
  await page.locator('.wrong').waitFor()
  await page.reload() // a reload keeps what was typed
  for (let i = 0; i < 3; i++) await next.click()
  assert.equal(await page.getByLabel('IP address or domain').inputValue(), '127.0.0.1')
  await page.getByLabel('IP address or domain').fill('192.0.2.7')
  await accessible('the endpoint')
  await next.click()

  await page.getByLabel('Cross-border bandwidth, Mbit/s').fill('1')
  await page.getByRole('button', { name: 'Make it' }).click()
  await page.getByText('A whole number is needed').waitFor()
  await page.getByLabel('Cross-border bandwidth, Mbit/s').fill('20')
  await accessible('the egress IP')
  await page.getByRole('button', { name: 'Make it' }).click()
  await page.getByText('The PoPs carry it.').waitFor()
  await page.getByText('198.51.100.11').waitFor()
  await page.getByText('198.51.100.21').waitFor()
  await accessible('the end of the wizard')
  await picture('wizard')
  await page.getByRole('button', { name: 'Make the connection' }).click()
  await page.getByText('Fill this in.').first().waitFor()
  await page.getByLabel('Public IP address of the client’s device').fill('192.0.2.10')
  await page.getByLabel('Networks behind the client’s device').fill('10.1.0.0/16')
  await page.getByLabel('Networks behind the endpoint’s device').fill('10.1.2.0/24') // overlaps
  await page.getByRole('button', { name: 'Make the connection' }).click()
  await page.locator('.wrong, .failure').first().waitFor()
  await page.getByLabel('Networks behind the endpoint’s device').fill('10.2.0.0/16')
  await page.getByRole('button', { name: 'Make the connection' }).click()
  for (const [title, peer] of [['The client’s device', '198.51.100.11'], ['The endpoint’s device', '198.51.100.21']]) {
    const device = page.locator('.configuration', { has: page.getByRole('heading', { name: title }) })
    await device.getByRole('button', { name: 'Show' }).click()
    await device.locator('pre', { hasText: peer }).first().waitFor()
    await device.getByRole('link', { name: 'Download' }).first().waitFor()
  }
  await accessible('both configurations')
  assert.match(await cli('accelerator', 'get', 'office'), /active/)
})

test('an endpoint is changed while the listener is live, and the egress IP stays', async () => {
  await page.getByRole('link', { name: 'Go to the accelerator' }).click()
  await heading(/office/).waitFor()
  await accessible('an accelerator')
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByRole('textbox', { name: 'Endpoints' }).fill('not/an/address')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.locator('dialog .wrong, dialog .failure').first().waitFor()
  await accessible('a refused edit')
  await page.getByRole('textbox', { name: 'Endpoints' }).fill('192.0.2.8')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.locator('dialog').waitFor({ state: 'detached' })
  await page.getByText('192.0.2.8').waitFor()
  assert.match(await cli('endpoint-group', 'get', 'office-kr-seoul'), /198\.51\.100\.21/)
})

test('every page can be opened, and none has anything wrong for a screen reader', async () => {
  for (const [link, title] of [
    ['Overview', 'Overview'],
    ['Accelerators', 'Accelerators'],
    ['VPN connections', 'VPN connections'],
    ['Routes', 'Routes'],
    ['PoPs', 'PoPs'],
    ['History', 'History'],
    ['Audit log', 'Audit log'],
    ['Access', 'Access'],
  ]) {
    await open(link)
    await heading(title).waitFor()
    await accessible(link)
    await picture(link.toLowerCase().replaceAll(' ', '-'))
  }
  await open('PoPs')
  await page.getByRole('link', { name: 'shanghai' }).click()
  await heading(/shanghai/).waitFor()
  await page.getByRole('heading', { name: 'Segments' }).waitFor()
  await accessible('a PoP')
  await open('Routes')
  await page.getByRole('button', { name: /All ways/ }).first().click()
  await page.getByRole('dialog').waitFor()
  await accessible('why a route is what it is')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await open('Audit log')
  await page.getByText('create accelerator office').waitFor()
})

test('a VPN connection shows what is wrong with it, and configurations for both ends', async () => {
  await cli('vpn-gateway', 'create', 'shanghai-gw', '--region', 'cn-shanghai', '--address', '192.0.2.11', '--network', '10.0.0.0/16')
  await cli('customer-gateway', 'create', 'seoul-office', '--region', 'cn-shanghai', '--address', '192.0.2.8')
  await cli('ipsec-connection', 'create', 'to-seoul', '--vpn-gateway', 'shanghai-gw', '--customer-gateway', 'seoul-office', '--remote', '172.32.0.0/16', '--accelerator', 'office')
  await open('VPN connections')
  await page.getByRole('link', { name: 'to-seoul' }).click()
  await heading(/to-seoul/).waitFor()
  await page.getByText('PublicNetwork').first().waitFor() // 172.32.0.0/16 is nobody's private network
  await accessible('a VPN connection')
  await picture('vpn-connection')
  await page.getByLabel('Device', { exact: true }).selectOption('strongswan')
  await page.getByRole('button', { name: 'Show' }).click()
  const shown = page.locator('.configuration pre', { hasText: 'remote_addrs' })
  await shown.waitFor()
  assert.doesNotMatch(await cli('audit'), /reveal/) // it has masks
  const masked = await shown.innerText()
  await page.getByLabel('With the secrets').check()
  await page.getByRole('button', { name: 'Show' }).click()
  await until('the configuration with its key', async () => (await shown.innerText()) !== masked)
  assert.match(await cli('audit'), /GetVPNConfig +reveal IPsec connection "to-seoul" \(tunnels\[0\]\.auth\.psk/)
  for (const [device, side, text] of [['strongswan', 'local', 'remote_addrs'], ['cisco-ios-xe', 'remote', 'crypto ikev2']]) {
    await page.getByLabel('Device', { exact: true }).selectOption(device)
    await page.getByLabel('Which end').selectOption(side)
    await page.getByRole('button', { name: 'Show' }).click()
    await page.locator('pre', { hasText: text }).waitFor()
  }
  await accessible('a configuration')
})

test('a key is made, shown once, and deleted', async () => {
  await open('Access')
  await page.getByRole('button', { name: 'New access key' }).click()
  await page.getByLabel('Name').fill('viewer')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  const secret = await page.locator('.secret').textContent()
  assert.match(secret, /^\S+\.\S+$/)
  await accessible('a new key')
  await page.getByRole('button', { name: 'Close' }).click()
  const row = page.getByRole('row', { name: /viewer/ })
  await row.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await row.waitFor({ state: 'detached' })
})

test('what others change is seen without reloading', async () => {
  await open('Accelerators')
  const began = Date.now()
  await cli('accelerator', 'create', 'branch')
  await page.getByRole('link', { name: 'branch' }).waitFor()
  console.log(`# a change made by the command line was seen ${Date.now() - began} ms after the command began`)
  await page.getByRole('link', { name: 'branch' }).click()
  await page.getByRole('button', { name: 'Delete', exact: true }).first().click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await heading('Accelerators').waitFor()
  await page.getByRole('link', { name: 'branch' }).waitFor({ state: 'detached' })
})

test('the console speaks Korean and Chinese', async () => {
  await open('Overview')
  for (const [code, title] of [['ko', '개요'], ['zh', '概览']]) {
    await page.locator('header select').first().selectOption(code)
    await heading(title).waitFor()
    assert.equal(await page.locator('html').getAttribute('lang'), code)
    await accessible(code)
  }
  await page.locator('header select').first().selectOption('en')
  await heading('Overview').waitFor()
})

test('everything can be reached by keyboard', async () => {
  await page.goto(`${origin}/console/#/accelerators`)
  await heading('Accelerators').waitFor()
  await page.locator('body').press('Tab')
  await page.keyboard.press('Shift+Tab')
  const seen = new Set()
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab')
    seen.add(await page.evaluate(() => document.activeElement?.textContent ?? ''))
  }
  for (const text of ['Overview', 'Routes', 'New accelerator', 'office']) assert.ok([...seen].some((s) => s === text), `${text} is not reached by Tab: ${[...seen].join(' | ')}`)
})

test('a PoP that dies while one looks is told of', async () => {
  await open('PoPs')
  await page.getByRole('row', { name: /seoul/ }).getByText('connected').waitFor()
  await stop('seoul', 'SIGKILL')
  await page.getByRole('row', { name: /seoul/ }).getByText('away').waitFor({ timeout: 120_000 })
  await open('Overview')
  await page.getByText('seoul is away').waitFor()
  await accessible('a PoP away')
  pop('seoul')
  await page.getByText('seoul is away').waitFor({ state: 'detached', timeout: 120_000 })
})

test('a lost controller leaves everything in sight, marked as stale, until it is back', async () => {
  await open('Accelerators')
  await page.getByRole('link', { name: 'office' }).waitFor()
  await stop('controller', 'SIGKILL')
  await page.getByText(/No connection: what you see is/).waitFor()
  await page.getByRole('link', { name: 'office' }).waitFor()
  await accessible('a stale page')
  await page.getByRole('link', { name: 'New accelerator' }).click()
  await page.getByLabel('Name').fill('later')
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByText('The controller cannot be reached').waitFor()
  assert.equal(await page.getByLabel('Name').inputValue(), 'later')
  controller()
  await page.getByText('Live', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByLabel('Acceleration region').waitFor()
})

test('a thousand accelerators and two hundred PoPs stay usable', async () => {
  const file = ['pops:']
  for (let i = 0; i < 200; i++) file.push(`  - name: many-${i}\n    region: kr-seoul\n    overlay: [{name: a, bind: "203.0.113.${i + 1}:4600"}]`)
  file.push('accelerators:')
  for (let i = 0; i < 1000; i++) file.push(`  - name: acc-${String(i).padStart(4, '0')}`)
  writeFileSync(path.join(dir, 'many.yaml'), `${file.join('\n')}\n`)
  await cli('apply', '-f', path.join(dir, 'many.yaml'))
  await open('Accelerators')
  await page.getByText('of 1001').waitFor()
  const shows = async (filter, row) => {
    const began = Date.now()
    await page.getByLabel('Filter').fill(filter)
    await page.getByRole('link', { name: row, exact: true }).waitFor()
    return Date.now() - began
  }
  console.log(`# one of 1,001 accelerators was found ${await shows('acc-0999', 'acc-0999')} ms after typing`)
  await open('Overview')
  const began = Date.now()
  await open('Accelerators')
  await page.getByText('of 1001').waitFor()
  console.log(`# the list of 1,001 accelerators was there ${Date.now() - began} ms after the click`)
  await open('PoPs')
  await page.getByText('of 202').waitFor()
  await page.getByRole('button', { name: 'Next page' }).click()
  await page.getByText('51–100').waitFor()
  await open('Overview')
  await page.getByText('2 / 202').waitFor()
  await accessible('an overview of 202 PoPs')
  await picture('many')
})

test('nothing went wrong in the browser meanwhile', () => {
  assert.deepEqual(faults, [])
})
