// Clients with a key of their own at oidc-provider (`private_key_jwt`): tokens without a user, and a sign-in whose request is
// pushed. The server accepts each assertion once.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Provider from 'oidc-provider';
import * as browsers from './browser.mjs';
import { contains, equal, keepSecret, matches, until } from './check.mjs';
import { freePort } from './stage.mjs';

const KEYS = [
  ['RS256', 'rsa', { modulusLength: 2048 }],
  ['ES256', 'ec', { namedCurve: 'P-256' }],
  ['EdDSA', 'ed25519', {}],
];

/** A key pair, with the private key in a file. */
function key(folder, name, kind, options) {
  const { privateKey, publicKey } = generateKeyPairSync(kind, options);
  const file = join(folder, `${name}.pem`);
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  return { file, jwk: { ...publicKey.export({ format: 'jwk' }), kid: name, use: 'sig', alg: name } };
}

export async function play({ browser, folder, nexus: program, stops }) {
  const NEXUS_HOME = join(folder, 'assertions');
  mkdirSync(NEXUS_HOME, { mode: 0o700 });
  const [port, redirectPort] = [await freePort(), await freePort()];
  const issuer = `http://127.0.0.1:${port}`;
  const redirectUri = `http://127.0.0.1:${redirectPort}/callback`;
  const keys = KEYS.map(([name, kind, options]) => ({ name, ...key(NEXUS_HOME, name, kind, options) }));
  const provider = new Provider(issuer, {
    scopes: ['openid', 'offline_access'],
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: 600, ClientCredentials: 600, RefreshToken: 86_400, Session: 600, Grant: 86_400, Interaction: 600, IdToken: 600 },
    clients: keys.map(({ name, jwk }) => ({
      client_id: name,
      application_type: 'native',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: name,
      jwks: { keys: [jwk] },
    })),
    enabledJWA: { clientAuthSigningAlgValues: KEYS.map(([name]) => name) },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      revocation: { enabled: true },
    },
    cookies: { keys: [randomBytes(24).toString('base64url')] },
    jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), use: 'sig' }] },
  });
  const http = createServer(provider.callback());
  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  stops.push(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });

  const section = (name, { name: id, file }, lines) =>
    `[provider.${name}]\nissuer = "${issuer}"\nclient_id = "${id}"\nclient_assertion_key_file = "${file}"\n` +
    `client_assertion_key_id = "${id}"\n${lines}\n`;
  const configuration = keys.map((one) => section(`ci-${one.name.toLowerCase()}`, one, 'grant = "client_credentials"'));
  const person = `scopes = ["openid", "offline_access"]\nprompt = "consent"\nredirect_uri = "${redirectUri}"`;
  writeFileSync(join(NEXUS_HOME, 'config.toml'), configuration.join('') + section('person', keys[1], person), { mode: 0o600 });
  const env = { NEXUS_HOME };
  const run = (...args) => program.run(args, { env });

  for (const { name } of keys) {
    const ran = await run('oauth', 'token', '--provider', `ci-${name.toLowerCase()}`);
    equal(`client credentials with an assertion in ${name}`, [ran.code, ran.stderr], [0, '']);
    keepSecret(ran.stdout.trim());
    const issued = await provider.ClientCredentials.find(ran.stdout.trim());
    equal('the server issued the token', issued?.clientId, name);
  }

  const command = await program.startWithBrowser(['oauth', 'start', '--provider', 'person'], { env });
  matches('the request was pushed', command.url, /request_uri=urn/);
  const page = await browser.open(command.url);
  await browsers.logIn(page, 'ada');
  await browsers.consent(page);
  matches('the final page says so', await browsers.finalPage(page, redirectUri), /signed in/i);
  await page.context().close();
  const started = await command.done;
  equal('a sign-in with assertions ends well', [started.code, started.stdout], [0, '']);
  const token = async (...more) => (await run('oauth', 'token', '--provider', 'person', ...more)).stdout.trim();
  const first = await token();
  keepSecret(first);
  let second = first;
  await until('a refresh with another assertion', async () => (second = await token('--min-ttl', '2h')) !== first, { within: 30_000 });
  keepSecret(second);
  equal('the server issued it', (await provider.AccessToken.find(second))?.clientId, 'ES256');
  const out = await run('oauth', 'logout', '--provider', 'person');
  contains('a sign-out with assertions revokes the session', out.stderr, 'Revoked the session at');
}
