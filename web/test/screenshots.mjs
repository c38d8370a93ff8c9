// Pictures of the console over a lab that carries traffic: scripts/screenshots.sh
// runs it on the lab's controller node.
//
//   node screenshots.mjs PROFILE FOLDER

import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { chromium } from 'playwright-core'

const [profile, folder] = process.argv.slice(2)
const said = readFileSync(profile, 'utf8')
const field = (name) => new RegExp(`${name}:\\s*"?([^"\\s]+)`).exec(said)[1]
const origin = field('controller')
const watched = Number(process.env.WATCH ?? 75) * 1000 // milliseconds of looking on before the first picture, so that charts have something

mkdirSync(folder, { recursive: true })
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server'],
})
try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-GB', viewport: { width: 1280, height: 860 } })
  context.setDefaultTimeout(180_000)
  const page = await context.newPage()
  const open = async (link) => {
    await page.getByRole('navigation').first().getByRole('link', { name: link }).click()
    await page.waitForTimeout(2500)
  }
  const picture = (name, whole) => page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: whole })
  await page.goto(`${origin}/console/`)
  await page.locator('input[type=password]').fill(field('access_key'))
  await page.locator('button[type=submit]').click()
  await page.locator('.tile').first().waitFor()
  await page.waitForTimeout(watched)
  await picture('console-overview', true)
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.waitForTimeout(500)
  await picture('console-overview-dark', true)
  await page.emulateMedia({ colorScheme: 'light' })
  await open('Routes')
  await picture('console-routes')
  await open('History')
  await page.waitForTimeout(2000)
  await picture('console-history', true)
  await open('Accelerators')
  await picture('console-accelerators')
  await page.locator('table a').first().click()
  await page.waitForTimeout(2500)
  await picture('console-accelerator', true)
  await open('VPN connections')
  await page.locator('table a').first().click()
  await page.waitForTimeout(2500)
  await picture('console-vpn', true)
  await open('PoPs')
  await picture('console-pops')
  await open('Audit log')
  await picture('console-audit')
  for (const [language, name] of [['한국어', 'ko'], ['中文', 'zh']]) {
    await page.locator('header select').first().selectOption({ label: language })
    await page.waitForTimeout(500)
    await page.getByRole('navigation').first().getByRole('link').first().click()
    await page.waitForTimeout(2500)
    await picture(`console-overview-${name}`, true)
  }
} finally {
  await browser.close()
}
