// Headless Chromium, driven by playwright-core. It reaches loopback only.

import { join } from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { equal, expect } from './check.mjs';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE [::1]',
];

const WAIT = 20_000;

export async function start({ screenshots }) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });

  /** Opens this URL in a browser without cookies, or in that of the page `before`. */
  async function open(url, before) {
    const context = before?.context() ?? (await browser.newContext({ viewport: { width: 1280, height: 800 } }));
    // The server's pages request a font from the internet.
    await context.route((address) => !['127.0.0.1', 'localhost', '[::1]'].includes(address.hostname), (route) => route.abort());
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT);
    page.complaints = [];
    const ours = (address) => !/googleapis/.test(address);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && ours(message.location().url + message.text())) {
        page.complaints.push(message.text());
      }
    });
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    page.on('requestfailed', (request) => {
      if (ours(request.url())) page.complaints.push(`${new URL(request.url()).pathname}: ${request.failure()?.errorText}`);
    });
    page.answer = await page.goto(url);
    return page;
  }

  /** Takes screenshots at two widths in light and dark, and runs axe on each. */
  async function inspect(page, name) {
    for (const colorScheme of ['light', 'dark']) {
      for (const [width, height] of [[360, 740], [1280, 800]]) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme });
        const variant = `${name}-${width}-${colorScheme}`;
        await page.screenshot({ path: join(screenshots, `${variant}.png`), fullPage: true });
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect(`${variant}: nothing sticks out sideways`, overflow <= 0, 'at most 0 px', `${overflow} px`);
        equal(`${variant}: axe finds nothing`, await violations(page), []);
      }
    }
  }

  return { open, inspect, stop: () => browser.close() };
}

// evaluate() is not subject to the page's CSP.
async function violations(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
}

export async function logIn(page, name) {
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'any will do');
  await page.click('button[type=submit]');
  await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
}

export const consent = (page) => page.click('button[type=submit]');

export const cancel = (page) => page.click('text=[ Cancel ]');

/** The text of nexus's last page, whose address has no parameters. */
export async function finalPage(page, redirectUri) {
  await page.waitForURL((url) => url.origin === new URL(redirectUri).origin, { waitUntil: 'load', timeout: WAIT });
  const address = new URL(page.url());
  // A script of the page may change its address after it has loaded.
  await page.waitForURL((url) => url.search === '', { timeout: 2_000 }).catch(() => {});
  const left = [...new URL(page.url()).searchParams.keys()];
  equal(`the final page's address keeps no parameter (${address.pathname})`, left, []);
  return (await page.innerText('body')).trim();
}
