// django-oauth-toolkit, a server in Python.
//
// Its metadata does not name the device authorization endpoint, and a client of it may use one grant type only.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './check.mjs';

const here = dirname(fileURLToPath(import.meta.url));

export async function start({ children, folder, freePort, lifetime }) {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const program = [join(here, 'django_server.py'), port, lifetime, join(folder, 'django.db')];
  const child = spawn(join(here, 'venv/bin/python'), program, { stdio: 'ignore', env: { PATH: process.env.PATH } });
  children.add(child);
  await until('django to listen', () => fetch(`${issuer}/.well-known/oauth-authorization-server`).then(() => true, () => false), { within: 60_000 });
  const enter = async (page, code) => {
    await page.fill('input[name=username]', 'ada');
    await page.fill('input[name=password]', 'correct horse 9');
    await page.click('[type=submit]');
    await page.fill('input[name=user_code]', code);
    await page.click('button[type=submit]');
  };
  return {
    name: 'django',
    issuer,
    device: {
      clientId: 'device-client',
      url: `${issuer}/device-authorization/`,
      async approve(page, code) {
        await enter(page, code);
        await page.click('button[value=accept]');
        await page.waitForSelector('text=Device Authorized');
      },
      async deny(page, code) {
        await enter(page, code);
        await page.click('button[value=deny]');
        await page.waitForSelector('text=Device Denied');
      },
    },
  };
}
