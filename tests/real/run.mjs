// Runs the built nexus against servers nobody here wrote, with a real browser, from sign-in to sign-out.
//
//   node run.mjs PATH_OF_NEXUS FOLDER_FOR_SCREENSHOTS
//
// `.ci/run` copies this folder to target/real/, installs the packages there (`npm ci`) and runs it.
//
//   nexus --- BROWSER --> Chromium --- login, consent ---> oidc-provider (PKCE, rotation, RFC 7009, 7662, 9207)
//     ^                       |                                  ^
//     +----- redirect --------+                                  | introspection of every bearer
//     +----- bearer ---> gateway.mjs ----------------------------+
//                            +---- its own key ---> aimock (Messages, streamed)
//
// Everything listens on free loopback ports and nothing else is reached. nexus gets an environment
// with nothing in it but what `nexus.mjs` names, and a home of its own. Nothing waits for a fixed
// time: the run tells the server how long the next access token shall live, lets nexus fetch one
// that is short, and asks `oauth status` until it has expired. Of the servers only the gateway is
// ours: it introspects, and passes on.
//
// It ends with one line `N passed, N failed`, and everything it started has ended by then.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as authorizationServer from './authorization_server.mjs';
import * as browsers from './browser.mjs';
import { closing, contains, equal, expect, leaks, matches, part, until } from './check.mjs';
import { fingerprint, startGateway, startMock } from './gateway.mjs';
import { program } from './nexus.mjs';

const { CONFIDENTIAL, PUBLIC } = authorizationServer;
const UNKNOWN = 'nobody-registered-this';
const MODEL = 'claude-real-run';
const PREFIX = '/llm/anthropic';
const LONG = 3_600;
const SHORT = 2;
const ANSWERS = {
  hello: 'Hello back.\nTwo lines, and an umlaut: ü.',
  'tell me a story': 'Once upon a time there was a token that lived for two seconds. It was renewed before anybody noticed, and nobody had to sign in again.',
};

const binary = resolve(process.argv[2] ?? 'target/release/nexus');
const screenshots = resolve(process.argv[3] ?? 'target/real/screenshots');
const folder = mkdtempSync(join(tmpdir(), 'nexus-real-'));
const home = join(folder, 'home');
const children = new Set();
const stops = [() => rmSync(folder, { recursive: true, force: true })];

async function end() {
  const living = [...children].filter((child) => child.exitCode === null && child.signalCode === null);
  await Promise.all(living.map((child) => new Promise((gone) => child.once('exit', gone).kill('SIGKILL'))));
  for (const stop of stops.splice(0).reverse()) {
    await Promise.resolve(stop()).catch((error) => console.log(`ending: ${error.message}`));
  }
}
for (const [signal, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]]) {
  process.once(signal, () => end().finally(() => process.exit(128 + number)));
}
function giveUp(why) {
  expect('the run comes to its end', false, 'within 10 minutes, and nothing thrown', why);
  end().finally(() => process.exit(closing()));
}
process.once('uncaughtException', (error) => giveUp(error?.stack ?? error));
setTimeout(() => giveUp('10 minutes are over'), 600_000).unref();

async function freePort() {
  const probe = createServer();
  await new Promise((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

mkdirSync(screenshots, { recursive: true });
mkdirSync(home, { mode: 0o700 });
const confidentialRedirectUri = `http://localhost:${await freePort()}/oauth/callback`;
const server = await authorizationServer.start({ confidentialRedirectUri });
stops.push(server.stop);
const answers = Object.entries(ANSWERS).map(([userMessage, content]) => ({
  match: { userMessage },
  response: { content },
  streamingProfile: { ttft: 50, tps: 25 },
}));
const mock = await startMock({ folder, answers, children });
const gateway = await startGateway({ introspect: server.introspect, mock, prefix: PREFIX });
stops.push(gateway.stop);
const browser = await browsers.start({ screenshots });
stops.push(browser.stop);
const nexus = program({ binary, home, folder, children });

const endpoints = `
authorize_url = "${server.issuer}/auth"
token_url = "${server.issuer}/token"
revoke_url = "${server.issuer}/token/revocation"
scopes = ["openid", "offline_access", "email", "model.request"]
authorize_params = { prompt = "consent" }
api_url = "${gateway.url}"
model = "${MODEL}"
`;
writeFileSync(join(home, 'secret'), `${CONFIDENTIAL.secret}\n`, { mode: 0o600 });
writeFileSync(
  join(home, 'config.toml'),
  `default = "real"

[provider.real]
client_id = "${PUBLIC.id}"
redirect_uri = "${PUBLIC.redirectUri}"
${endpoints}
[provider.confidential]
client_id = "${CONFIDENTIAL.id}"
client_secret_file = "${join(home, 'secret')}"
redirect_uri = "${confidentialRedirectUri}"
${endpoints}
[provider.unknown]
client_id = "${UNKNOWN}"
redirect_uri = "${PUBLIC.redirectUri}"
${endpoints}`,
  { mode: 0o600 },
);

const status = async (...more) => JSON.parse((await nexus.run(['oauth', 'status', '--json', ...more])).stdout);
const lastGrant = () => server.log.grants.at(-1);

/** Opens the URL of a sign-in in Chromium, says yes, and gives the page and what became of nexus. */
async function signIn(name, args = []) {
  const command = await nexus.startWithBrowser(['oauth', 'start', '--timeout', '60s', ...args]);
  const asked = new URL(command.url);
  const redirectUri = asked.searchParams.get('redirect_uri');
  const page = await browser.open(command.url);
  await browsers.logIn(page, name);
  await browsers.consent(page);
  const text = await browsers.finalPage(page, redirectUri);
  return { asked, redirectUri, page, text, ran: await command.done };
}

/** Lets the session's token be a short one, and waits until `oauth status` says it has expired. */
async function expire(...more) {
  server.next.lifetime = SHORT;
  const ran = await nexus.run(['oauth', 'token', '--min-ttl', '2h', ...more]);
  server.next.lifetime = LONG;
  equal('`oauth token --min-ttl 2h` renews, though the server gives less', ran.code, 0);
  equal('it prints the new token and a newline', ran.stdout, `${lastGrant().accessToken}\n`);
  matches('and says on stderr that it lives shorter', ran.stderr, /\S/);
  await until('the short token to expire', async () => (await status(...more)).state === 'refreshable');
}

await part('Before anybody has signed in', async () => {
  for (const args of [['chat', 'hello'], ['oauth', 'status'], ['oauth', 'token'], ['models']]) {
    equal(`nexus ${args.join(' ')} asks to sign in`, (await nexus.run(args)).code, 4);
  }
  const out = await nexus.run(['oauth', 'logout']);
  equal('nexus oauth logout is content', out.code, 0);
  contains('and says so', out.stderr, 'Nothing to forget');
  equal('no server was asked', [server.log.grants.length, gateway.log.length], [0, 0]);
});

await part('Signing in with a public client', async () => {
  const { asked, redirectUri, page, text, ran } = await signIn('ada');
  equal('the browser was sent to the authorization endpoint', asked.origin + asked.pathname, `${server.issuer}/auth`);
  equal('with PKCE, S256', asked.searchParams.get('code_challenge_method'), 'S256');
  matches('and a challenge of 256 bits', asked.searchParams.get('code_challenge') ?? '', /^[\w-]{43}$/);
  matches('a state nobody guesses', asked.searchParams.get('state') ?? '', /^[\w-]{22,}$/);
  matches('and any free port', redirectUri, /^http:\/\/127\.0\.0\.1:[1-9]\d*\/callback$/);
  matches('the final page says so', text, /signed in/i);
  equal('the final page made the browser complain of nothing', page.complaints, []);
  await browser.inspect(page, 'signed-in');
  await page.context().close();
  equal('oauth start ends well', ran.code, 0);
  equal('with nothing on stdout', ran.stdout, '');
  expect('the URL stands alone on a line of stderr', ran.stderr.split('\n').includes(asked.href), asked.href, ran.stderr);
  matches('who signed in, and for how long', ran.stderr, /Signed in as ada@example\.test, token expires in \d+ minutes/);
  const { type, basic, userAgent } = lastGrant();
  equal('one code was redeemed, without a secret', [server.log.grants.length, type, basic], [1, 'authorization_code', false]);
  matches('by a program that says its name', userAgent, /^nexus\/\d/);
});

await part('Using the session', async () => {
  const line = await nexus.run(['oauth', 'status']);
  matches('oauth status', line.stdout, /^Token active, expires in (\d+ minutes|1\.0 hours), auto-refresh enabled\n$/);
  equal('it exits 0 and says nothing else', [line.code, line.stderr], [0, '']);
  const { expires_at, expires_in, ...rest } = await status();
  equal('oauth status --json', rest, {
    version: 1,
    provider: 'real',
    state: 'active',
    auto_refresh: true,
    scopes: ['openid', 'offline_access', 'email', 'model.request'],
    token_type: 'Bearer',
    account: 'ada@example.test',
  });
  expect('its expires_in', expires_in > LONG - 300 && expires_in <= LONG, `about ${LONG}`, expires_in);
  const off = Math.abs(Date.parse(expires_at) / 1_000 - (Date.now() / 1_000 + expires_in));
  expect('its expires_at is the same moment', off < 5, 'less than 5 s apart', `${off} s apart`);

  let firstPiece;
  const told = await nexus.run(['chat', 'tell me', 'a story'], { onOutput: () => (firstPiece ??= performance.now()) });
  equal('nexus chat prints the answer', told.stdout, `${ANSWERS['tell me a story']}\n`);
  equal('exits 0 and says nothing else', [told.code, told.stderr], [0, '']);
  const request = gateway.log.at(-1);
  equal('one request', [gateway.log.length, request?.method, request?.path], [1, 'POST', `${PREFIX}/v1/messages`]);
  equal('with the API version', request?.headers['anthropic-version'], '2023-06-01');
  equal('and the bearer of this session', request?.bearer, fingerprint(lastGrant().accessToken));
  expect('its first words came before the answer had ended', firstPiece < request?.endedAt, 'first piece, then the end', `piece ${firstPiece}, end ${request?.endedAt}`);

  const piped = await nexus.run(['chat'], { stdin: 'hello\n' });
  equal('nexus chat reads its prompt from a pipe', [piped.code, piped.stdout], [0, `${ANSWERS.hello}\n`]);
  const json = await nexus.run(['chat', '--json', 'hello']);
  equal('nexus chat --json exits 0', json.code, 0);
  const object = JSON.parse(json.stdout);
  equal('its object says its version', object.version, 1);
  const models = await nexus.run(['models']);
  equal('nexus models lists one id a line', [models.code, models.stdout.includes('claude-3-5-sonnet-20241022\n')], [0, true]);
  expect('and nothing but ids', /^(\S+\n)+$/.test(models.stdout), 'ids', models.stdout);
  equal('nothing of this needed a refresh', server.count('refresh_token'), 0);
});

await part('A token that has expired is renewed before it is used', async () => {
  await expire();
  const before = server.count('refresh_token');
  const old = lastGrant();
  const line = await nexus.run(['oauth', 'status']);
  matches('oauth status says what will happen', line.stdout, /^Token expired \d+ seconds? ago, will refresh on next use\n$/);
  equal('and calls that healthy', line.code, 0);
  const told = await nexus.run(['chat', 'hello']);
  equal('nexus chat answers as if nothing were', [told.code, told.stdout, told.stderr], [0, `${ANSWERS.hello}\n`, '']);
  equal('after exactly one refresh', server.count('refresh_token') - before, 1);
  equal('the bearer changed', gateway.log.at(-1).bearer, fingerprint(lastGrant().accessToken));
  expect('both tokens were rotated', lastGrant().accessToken !== old.accessToken && lastGrant().refreshToken !== old.refreshToken, 'new ones', 'an old one');
  equal('no bearer was refused', gateway.log.filter(({ status: code }) => code === 401), []);
  equal('oauth status', (await status()).state, 'active');
});

await part('Twelve at once renew once', async () => {
  await expire();
  const before = server.count('refresh_token');
  const twelve = await Promise.all(Array.from({ length: 12 }, () => nexus.run(['oauth', 'token'])));
  equal('all end well', twelve.map(({ code }) => code), Array(12).fill(0));
  equal('with one refresh', server.count('refresh_token') - before, 1);
  expect('and the same token', new Set(twelve.map(({ stdout }) => stdout)).size === 1, 'one token', `${new Set(twelve.map(({ stdout }) => stdout)).size} tokens`);
  equal('which is the new one', twelve[0].stdout.trim(), lastGrant().accessToken);
  equal('the server saw no token twice', server.log.errors, []);
});

await part('A second sign-in replaces the first', async () => {
  const first = lastGrant();
  const { page, ran } = await signIn('ada');
  await page.context().close();
  equal('oauth start ends well', ran.code, 0);
  equal('the new session is another', lastGrant().accessToken !== first.accessToken, true);
  equal('the replaced one was revoked', (await server.introspect(first.refreshToken)).active, false);
  equal('the new one is good', (await server.introspect(lastGrant().accessToken)).active, true);
});

await part('A confidential client', async () => {
  const { page, redirectUri, ran } = await signIn('grace', ['--provider', 'confidential']);
  await page.context().close();
  equal('the registered redirect URI was sent', redirectUri, confidentialRedirectUri);
  equal('oauth start ends well', ran.code, 0);
  equal('its secret went in a Basic header the server accepts', [lastGrant().client, lastGrant().basic], [CONFIDENTIAL.id, true]);
  await expire('--provider', 'confidential');
  const told = await nexus.run(['chat', '--provider', 'confidential', 'hello']);
  equal('nexus chat renews and answers', [told.code, told.stdout, lastGrant().type, lastGrant().basic], [0, `${ANSWERS.hello}\n`, 'refresh_token', true]);
  equal('the gateway saw that client', gateway.log.at(-1).client, CONFIDENTIAL.id);
  equal('the other session is untouched', (await status()).account, 'ada@example.test');
});

await part('What is kept', async () => {
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const kept = files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => path !== join(home, 'secret'));
  expect('the store is there', kept.some((path) => path.startsWith(join(home, 'data'))), 'a file under data/', kept.join(' '));
  equal('no file holds a token or a secret in the clear', kept.filter((path) => leaks(readFileSync(path))), []);
  equal('nobody else may read any', kept.filter((path) => statSync(path).mode & 0o077), []);
});

await part('A session the server has ended', async () => {
  await server.revokeGrant(lastGrant().accessToken);
  const args = ['--provider', 'confidential'];
  const told = await nexus.run(['chat', ...args, 'hello']);
  equal('nexus chat asks to sign in again', [told.code, told.stdout], [4, '']);
  contains('with the command for it', told.stderr, 'nexus oauth start --provider confidential');
  const line = await nexus.run(['oauth', 'status', ...args]);
  equal('oauth status is not healthy', line.code, 4);
  matches('and says why', line.stdout, /^Session ended by the server at .*: run nexus oauth start/);
  const knocks = server.log.grants.length + server.log.errors.length;
  equal('the next chat fails too', (await nexus.run(['chat', ...args, 'hello'])).code, 4);
  equal('without knocking again', server.log.grants.length + server.log.errors.length, knocks);
  equal('oauth logout forgets it', (await nexus.run(['oauth', 'logout', ...args])).code, 0);
});

await part('Signing out', async () => {
  equal('there is a session', (await status()).state, 'active');
  const { accessToken, refreshToken } = server.log.grants.findLast(({ client }) => client === PUBLIC.id);
  const out = await nexus.run(['oauth', 'logout']);
  equal('oauth logout ends well, stdout empty', [out.code, out.stdout], [0, '']);
  contains('it says what the server did', out.stderr, `Revoked at ${server.host}`);
  contains('and what is gone here', out.stderr, 'Forgotten here');
  for (const [name, token] of [['access', accessToken], ['refresh', refreshToken]]) {
    equal(`the ${name} token is no longer good`, (await server.introspect(token)).active, false);
  }
  const refused = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${accessToken}` } });
  await refused.body.cancel();
  equal('the gateway refuses it', [refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer realm="gateway", error="invalid_token"']);
  equal('nexus chat exits 4', (await nexus.run(['chat', 'hello'])).code, 4);
  equal('oauth status', (await nexus.run(['oauth', 'status'])).stdout, 'Not signed in: run nexus oauth start\n');
});

await part('A person who says no', async () => {
  const command = await nexus.startWithBrowser(['oauth', 'start', '--timeout', '60s']);
  const page = await browser.open(command.url);
  await browsers.logIn(page, 'ada');
  await browsers.cancel(page);
  const text = await browsers.finalPage(page, new URL(command.url).searchParams.get('redirect_uri'));
  expect('the final page does not claim success', !/you are signed in/i.test(text) && text !== '', 'a refusal', text);
  equal('it made the browser complain of nothing', page.complaints.filter((text) => !/status of 4\d\d/.test(text)), []);
  await browser.inspect(page, 'refused');
  await page.context().close();
  const ran = await command.done;
  equal('oauth start exits 4, stdout empty', [ran.code, ran.stdout], [4, '']);
  matches('and says that the server was told no', ran.stderr, /access_denied|denied|refused/);
  equal('nobody is signed in', (await status()).state, 'none');
});

await part('A client id the server does not know', async () => {
  const command = await nexus.startWithBrowser(['oauth', 'start', '--provider', 'unknown', '--timeout', '3s']);
  const page = await browser.open(command.url);
  contains('the browser shows what the server says', await page.innerText('body'), 'invalid_client');
  await page.context().close();
  const ran = await command.done;
  equal('oauth start exits 4 when its time is over, stdout empty', [ran.code, ran.stdout], [4, '']);
  // Only the last lines: the URL above them names both anyway.
  const sentence = ran.stderr.replaceAll(command.url, '');
  contains('it names the client id as sent', sentence, UNKNOWN);
  contains('and the redirect URI as sent', sentence, new URL(command.url).searchParams.get('redirect_uri'));
});

await part('Nothing leaked', async () => {
  const spoken = nexus.transcript.filter(({ args, stdout, stderr }) => leaks(stderr) || (args[1] !== 'token' && leaks(stdout)));
  equal('no output holds a token or a secret but that of oauth token', spoken.map(({ args }) => args.join(' ')), []);
});

// The sandbox is ours, but its consent page is a page a person sees.
const demo = await nexus.run(['demo', '--help']);
if (demo.code === 0) {
  await part('The consent page of `nexus demo`', async () => {
    const command = await nexus.startWithBrowser(['demo']);
    const page = await browser.open(command.url);
    equal('it made the browser complain of nothing', page.complaints, []);
    matches('it says what it is', await page.innerText('body'), /sandbox|demo/i);
    await browser.inspect(page, 'sandbox-consent');
    await page.click('button[type=submit]');
    await browsers.finalPage(page, new URL(command.url).searchParams.get('redirect_uri'));
    await browser.inspect(page, 'sandbox-signed-in');
    await page.context().close();
    equal('the demo ends well', (await command.done).code, 0);
  });
}

await end();
process.exit(closing());
