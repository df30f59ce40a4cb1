// Starts the servers, the browser and the program, and has what several parts do: sign in, and let a token expire.

import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as authorizationServer from './authorization_server.mjs';
import * as browsers from './browser.mjs';
import { equal, matches, until } from './check.mjs';
import * as faulty from './faults.mjs';
import { startGateway, startMock } from './gateway.mjs';
import { program } from './nexus.mjs';

const { CONFIDENTIAL, PUBLIC } = authorizationServer;

export const UNKNOWN = 'unregistered-client';

/** The path of the API at the gateway, before `/v1`. */
export const PREFIX = '/llm/anthropic';

/** Lifetimes of access tokens in seconds. */
export const LONG = 3_600;
const SHORT = 2;

/** Prompts and answers. */
export const ANSWERS = {
  hello: 'Hello back.\nTwo lines, and an umlaut: ü.',
  'tell me a story':
    'Once upon a time there was a token that lived for two seconds. It was renewed before anybody noticed, and nobody had to sign in again.',
  'think first': 'Thought through.',
};

/** Thinking before an answer. */
const THOUGHTS = { 'think first': 'Let me see.' };

/** A free port below the range from which the system takes ports for connections: those may take it before it is used. */
export async function freePort() {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    const free = await new Promise((done) => {
      probe.once('error', () => done(false));
      probe.listen(port, '127.0.0.1', () => done(true));
    });
    if (free) {
      await new Promise((done) => probe.close(done));
      return port;
    }
  }
  throw new Error('no free port');
}

function configuration({ issuer, api, mock, home, redirectUris, faults }) {
  const authorization = `
authorize_url = "${issuer}/auth"
token_url = "${issuer}/token"
revoke_url = "${issuer}/token/revocation"
scopes = ["openid", "offline_access", "email", "model.request"]
authorize_params = { prompt = "consent" }
`;
  const endpoints = `${authorization}
api_url = "${api}"
model = "claude-real-run"
`;
  return `default = "real"

[provider.real]
client_id = "${PUBLIC.id}"
redirect_uri = "${PUBLIC.redirectUri}"
${endpoints}
[provider.confidential]
client_id = "${CONFIDENTIAL.id}"
client_secret_file = "${join(home, 'secret')}"
redirect_uri = "${redirectUris.confidential}"
${endpoints}
[provider.claude_code]
refresh_request = "form"
${endpoints}
[provider.openai]
client_id = "${PUBLIC.id}"
redirect_uri = "${PUBLIC.redirectUri}"
dialect = "openai"
${endpoints}
[provider.direct]
client_id = "${PUBLIC.id}"
redirect_uri = "${PUBLIC.redirectUri}"
dialect = "openai"
${authorization}
api_url = "${mock}"
model = "gpt-real-run"

[provider.unknown]
client_id = "${UNKNOWN}"
redirect_uri = "${PUBLIC.redirectUri}"
${endpoints}
${faulty.configuration(faults, `client_id = "${PUBLIC.id}"\nredirect_uri = "${PUBLIC.redirectUri}"\n${authorization}`)}`;
}

/** Starts everything, and adds it to `children` and `stops`. */
export async function set({ binary, screenshots, folder, children, stops }) {
  const home = join(folder, 'home');
  mkdirSync(home, { mode: 0o700 });
  const redirectUris = {
    confidential: `http://localhost:${await freePort()}/oauth/callback`,
    variables: `http://localhost:${await freePort()}/oauth/claude/callback`,
  };
  const server = await authorizationServer.start({ redirectUris });
  stops.push(server.stop);
  const answers = Object.entries(ANSWERS).map(([userMessage, content]) => ({
    match: { userMessage },
    response: { content, reasoning: THOUGHTS[userMessage] },
    // Slow, so that the first text comes before the last.
    streamingProfile: { ttft: 50, tps: 25 },
  }));
  const mock = await startMock({ folder, answers, children });
  const gateway = await startGateway({ introspect: server.introspect, mock, prefix: PREFIX });
  stops.push(gateway.stop);
  const browser = await browsers.start({ screenshots });
  stops.push(browser.stop);
  const faults = await faulty.start({ freePort, children });
  const nexus = program({ binary, home, folder, children });
  writeFileSync(join(home, 'secret'), `${CONFIDENTIAL.secret}\n`, { mode: 0o600 });
  writeFileSync(join(home, 'config.toml'), configuration({ issuer: server.issuer, api: gateway.url, mock: mock.url, home, redirectUris, faults }), { mode: 0o600 });

  const status = async (...more) => JSON.parse((await nexus.run(['oauth', 'status', '--json', ...more])).stdout);
  const lastGrant = () => server.log.grants.at(-1);

  /**
   * Approves a sign-in in Chromium, and returns the page and the result of nexus. On the page `before` the user is
   * already logged in.
   */
  async function signIn(name, args = [], { env, beforeOpening, before } = {}) {
    const command = await nexus.startWithBrowser(['oauth', 'start', '--timeout', '60s', ...args], { env });
    await beforeOpening?.(command.url);
    const asked = new URL(command.url);
    const redirectUri = asked.searchParams.get('redirect_uri');
    const page = await browser.open(command.url, before);
    if (!before) await browsers.logIn(page, name);
    await browsers.consent(page);
    const text = await browsers.finalPage(page, redirectUri);
    return { asked, redirectUri, page, text, ran: await command.done };
  }

  /** Has the server end the access token, so that a short-lived one replaces it, and waits until that has expired. */
  async function expire(...more) {
    const long = await nexus.run(['oauth', 'token', ...more]);
    matches('oauth token prints the token and a newline', long.stdout, /^\S+\n$/);
    server.next.lifetime = SHORT;
    const kept = await nexus.run(['oauth', 'token', '--min-ttl', '2h', ...more]);
    equal('`oauth token --min-ttl 2h` keeps the token if the new one expires sooner', [kept.code, kept.stdout], [0, long.stdout]);
    matches('and says so on stderr', kept.stderr, /\S/);
    await server.destroyAccessToken(long.stdout.trim());
    const renewed = await nexus.run(['chat', ...more, 'hello']);
    server.next.lifetime = LONG;
    equal('a token that the server has ended is replaced', [renewed.code, lastGrant().type], [0, 'refresh_token']);
    await until('the short token to expire', async () => (await status(...more)).state === 'refreshable');
  }

  return { faults, server, gateway, mock, browser, nexus, home, redirectUris, status, lastGrant, signIn, expire };
}
