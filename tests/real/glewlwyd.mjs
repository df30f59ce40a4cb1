// Glewlwyd, a server in C from Debian. `.ci/run` unpacks it below glewlwyd/.
//
// It refuses `openid` without a nonce, takes Basic credentials as they are, and answers a dead refresh token with an
// empty 400.

import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './check.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), 'glewlwyd');
const share = join(root, 'usr/share');
const password = 'correct horse 9';
const DEVICE_CLIENT = 'device-client';

export async function start({ children, folder, freePort, lifetime }) {
  const url = `http://localhost:${await freePort()}`;
  const database = join(folder, 'glewlwyd.db');
  const schema = readFileSync(join(share, 'dbconfig-common/data/glewlwyd/install/sqlite3'));
  const made = spawnSync('sqlite3', [database], { input: schema });
  if (made.status !== 0) throw new Error(`sqlite3: ${made.error ?? made.stderr}`);
  // It serves no file behind a link, and config.json leads to /etc.
  const pages = join(folder, 'glewlwyd-pages');
  cpSync(join(share, 'glewlwyd/webapp'), pages, { recursive: true, dereference: true, filter: (path) => !path.endsWith('/config.json') });
  copyFileSync(join(share, 'glewlwyd/templates/config.json'), join(pages, 'config.json'));
  const configuration = join(folder, 'glewlwyd.conf');
  const sample = spawnSync('gunzip', ['--stdout', join(share, 'doc/glewlwyd/glewlwyd.conf.sample.gz')], { encoding: 'utf8' }).stdout;
  writeFileSync(
    configuration,
    sample
      .replace(/^port=.*$/m, `port=${new URL(url).port}`)
      .replace(/^external_url=.*$/m, `external_url="${url}"`)
      .replace(/^cookie_secure=.*$/m, 'cookie_secure=0')
      .replace(/^static_files_path=.*$/m, `static_files_path="${pages}/"`)
      .replaceAll('"/usr/', `"${root}/usr/`)
      .replace(/"[^"]*glewlwyd\.db"/, `"${database}"`),
  );
  const child = spawn(join(root, 'usr/bin/glewlwyd'), [`--config-file=${configuration}`], { stdio: 'ignore', env: { PATH: process.env.PATH } });
  children.add(child);
  await until('glewlwyd to listen', () => fetch(`${url}/config`).then(() => true, () => false));
  await configure(`${url}/api`, lifetime);
  return {
    name: 'glewlwyd',
    issuer: `${url}/api/oidc`,
    userinfo: `${url}/api/oidc/userinfo`,
    account: 'ada@example.test',
    approve,
    // It registers no client for the device flow.
    device: {
      clientId: DEVICE_CLIENT,
      scopes: ['openid', 'offline_access'],
      async approve(page, code) {
        await page.fill('input[maxlength="9"]', code);
        await page.click('button:has-text("OK")');
        await approve(page);
        await page.waitForSelector('text=Authorization complete');
      },
    },
  };
}

async function approve(page) {
  await page.fill('#username', 'ada');
  await page.fill('#password', password);
  await page.click('#loginbut');
  await page.click('text=Continue');
}

/** Adds the protocol, its scopes and a user, as its administrator would. */
async function configure(api, lifetime) {
  let cookie;
  const post = async (path, body) => {
    const answer = await fetch(api + path, { method: 'POST', headers: { 'content-type': 'application/json', ...(cookie && { cookie }) }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    cookie ??= answer.headers.get('set-cookie').split(';')[0];
  };
  await post('/auth/', { username: 'admin', password: 'password' });
  await post('/scope/', { name: 'offline_access', display_name: 'offline_access', password_required: true, password_max_age: 0, scheme: {} });
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await post('/mod/plugin/', {
    module: 'oidc',
    name: 'oidc',
    display_name: 'OpenID Connect',
    enabled: true,
    parameters: {
      iss: `${api}/oidc`,
      'jwt-type': 'rsa',
      'jwt-key-size': '256',
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: publicKey.export({ type: 'spki', format: 'pem' }),
      'access-token-duration': lifetime,
      'refresh-token-duration': 86_400,
      'refresh-token-one-use': 'always',
      'code-duration': 60,
      'auth-type-code-enabled': true,
      'auth-type-device-enabled': true,
      'auth-type-refresh-enabled': true,
      'device-authorization-interval': 1,
      'pkce-allowed': true,
      'pkce-required': true,
      'introspection-revocation-allowed': true,
      'introspection-revocation-allow-target-client': true,
      'register-client-allowed': true,
      'allowed-scope': ['openid', 'offline_access'],
      'email-claim': 'mandatory',
      'jwks-show': true,
    },
  });
  await post('/user/?source=database', { username: 'ada', name: 'Ada Lovelace', email: 'ada@example.test', enabled: true, password, scope: ['openid', 'offline_access'] });
  const grants = ['device_authorization', 'refresh_token', 'delete_token'];
  await post('/client/?source=database', { client_id: DEVICE_CLIENT, name: 'A device', enabled: true, confidential: false, authorization_type: grants, redirect_uri: [], scope: [] });
}
