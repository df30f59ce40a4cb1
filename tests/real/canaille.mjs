// Canaille, a server in Python.
//
// It refuses `openid` without a nonce, scopes that it does not list, and any redirect URI but the registered one. Its
// revocation endpoint takes Basic credentials only. A refresh token ends with its access token.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './check.mjs';

const here = dirname(fileURLToPath(import.meta.url));

export async function start({ children, freePort }) {
  const port = await freePort();
  const lifetime = 3_600;
  const issuer = `http://localhost:${port}`;
  const program = [join(here, 'canaille_server.py'), port, lifetime];
  const child = spawn(join(here, 'venv/bin/python'), program, { stdio: 'ignore', env: { PATH: process.env.PATH } });
  children.add(child);
  await until('canaille to listen', () => fetch(`${issuer}/.well-known/openid-configuration`).then(() => true, () => false), { within: 60_000 });
  return {
    name: 'canaille',
    issuer,
    userinfo: `${issuer}/oauth/userinfo`,
    account: 'ada',
    lifetime,
    refreshEndsWithAccess: true,
    async approve(page) {
      await page.fill('input[name=login]', 'ada');
      await page.click('button[type=submit]');
      await page.fill('input[name=password]', 'correct horse 9');
      await page.click('button[type=submit]');
      await page.click('button[value=accept]');
    },
  };
}
