// Servers that know nothing of nexus, and nexus without a configuration: the URL is all it gets.
//
// One story for each server, in three acts. All servers play an act before the next begins, so that tokens expire
// while others sign in. A gateway in front of the API names its authorization server (RFC 9728).

import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as betterAuth from './better_auth.mjs';
import * as browsers from './browser.mjs';
import * as canaille from './canaille.mjs';
import { contains, equal, expect, keepSecret, matches, part, until } from './check.mjs';
import { startGateway } from './gateway.mjs';
import * as glewlwyd from './glewlwyd.mjs';
import * as oidcProvider from './oidc_provider.mjs';
import { ANSWERS, freePort } from './stage.mjs';

/** Lifetime of an access token in seconds: longer than an act takes, and short enough to wait for. */
const LIFETIME = 20;

export async function play({ browser, children, folder, mock, nexus: program, stops }) {
  const NEXUS_HOME = join(folder, 'by-url');
  mkdirSync(NEXUS_HOME, { mode: 0o700 });
  const within = (run) => (args) => run(args, { env: { NEXUS_HOME } });
  const nexus = { run: within(program.run), startWithBrowser: within(program.startWithBrowser) };
  const stage = { children, folder, freePort, lifetime: LIFETIME, stops };
  const kinds = [glewlwyd, betterAuth, oidcProvider, canaille];
  const servers = await Promise.all(kinds.map(async ({ start }) => {
    const server = await start(stage);
    const accepts = server.accepts ?? (async (token) => {
      const answer = await fetch(server.userinfo, { headers: { authorization: `Bearer ${token}` } });
      await answer.body?.cancel();
      return answer.ok;
    });
    const introspect = async (token) => ({ active: await accepts(token), scope: 'model.request' });
    const gateway = await startGateway({ introspect, mock, prefix: '/llm', authorizationServer: server.issuer });
    stops.push(gateway.stop);
    return { ...server, accepts, gateway };
  }));
  const all = async () => {
    const { code, stdout } = await nexus.run(['oauth', 'status', '--all', '--json']);
    return [code, JSON.parse(stdout).sessions.map(({ provider, account }) => `${provider}: ${account}`)];
  };
  for (const [act, title] of [[signIn, 'signing in by URL alone'], [expire, 'a token that has expired'], [signOut, 'signing out']]) {
    if (act === signOut) equal('\noauth status --all names every session', await all(), [0, servers.map(({ name, account }) => `${name}: ${account}`).sort()]);
    for (const server of servers) {
      await part(`${server.name}: ${title}`, () => act({ browser, configuration: join(NEXUS_HOME, 'config.toml'), nexus, server }));
    }
  }
}

const provider = ({ name }) => ['--provider', name];

const statusOf = async (nexus, server) => JSON.parse((await nexus.run(['oauth', 'status', '--json', ...provider(server)])).stdout);

/** The access token, for a look at what the server says about it. */
async function accessToken(nexus, server) {
  const { stdout } = await nexus.run(['oauth', 'token', ...provider(server)]);
  keepSecret(stdout.trim());
  return stdout.trim();
}

/** Has a person approve this sign-in, and returns the result of nexus. */
async function approve({ browser, nexus, server }, typed) {
  const command = await nexus.startWithBrowser(['oauth', 'start', ...typed, ...provider(server)]);
  // A pushed request hides the redirect URI from the browser.
  const waiting = () => /redirect to (\S+),/.exec(command.ran.stderr)?.[1];
  const redirectUri = await until('nexus to say what it waits for', waiting);
  const page = await browser.open(command.url);
  await server.approve(page);
  matches('the final page says so', await browsers.finalPage(page, redirectUri), /signed in/i);
  await page.context().close();
  const ran = await command.done;
  equal('oauth start ends well, stdout empty', [ran.code, ran.stdout], [0, '']);
  contains('and names the account', ran.stderr, `Signed in as ${server.account}`);
  return ran;
}

async function signIn(stage) {
  const { nexus, server } = stage;
  if (server.section) appendFileSync(stage.configuration, `\n[provider.${server.name}]\n${server.section.join('\n')}\n`);
  const ran = await approve(stage, server.typed?.(server.gateway.url) ?? [server.gateway.url]);
  if (server.wantsConsent) {
    contains('it names the setting that brings a refresh token', ran.stderr, 'prompt = "consent"');
    const section = `[provider.${server.name}]\n`;
    const before = readFileSync(stage.configuration, 'utf8');
    writeFileSync(stage.configuration, before.replace(section, `${section}prompt = "consent"\n`));
    await approve(stage, []);
  }
  const status = await statusOf(nexus, server);
  equal('oauth status knows it too', [status.state, status.account, status.auto_refresh], ['active', server.account, true]);
  const told = await nexus.run(['chat', '--model', 'claude-real-run', ...provider(server), 'hello']);
  equal('nexus chat answers', [told.code, told.stdout, told.stderr], [0, `${ANSWERS.hello}\n`, '']);
}

async function expire({ nexus, server }) {
  const old = server.gateway.log.at(-1).bearer;
  if (server.refreshEndsWithAccess) {
    equal('it can be renewed before', (await nexus.run(['oauth', 'token', '--min-ttl', `${server.lifetime - 1}s`, ...provider(server)])).code, 0);
  } else {
    const expired = async () => (await statusOf(nexus, server)).state === 'refreshable';
    await until('the token to expire', expired, { within: 2_000 * LIFETIME, every: 200 });
  }
  const told = await nexus.run(['chat', '--model', 'claude-real-run', ...provider(server), 'hello']);
  equal('nexus chat renews it and answers', [told.code, told.stdout, told.stderr], [0, `${ANSWERS.hello}\n`, '']);
  expect('with another token', server.gateway.log.at(-1).bearer !== old, 'a new bearer', 'the old one');
  equal('no bearer was refused', server.gateway.log.filter(({ bearer, active }) => bearer && !active), []);
}

async function signOut({ nexus, server }) {
  const token = await accessToken(nexus, server);
  equal('the server accepts the token of the session', await server.accepts(token), true);
  const out = await nexus.run(['oauth', 'logout', ...provider(server)]);
  equal('oauth logout ends well, stdout empty', [out.code, out.stdout], [0, '']);
  contains('it revokes the session', out.stderr, `Revoked the session at ${new URL(server.issuer).host}`);
  equal('the server no longer accepts the token', await server.accepts(token), false);
  const line = await nexus.run(['oauth', 'status', ...provider(server)]);
  equal('oauth status says that it has ended', line.code, 4);
  matches('and what to do', line.stdout, /^Not signed in: run nexus oauth start( --provider \S+)?\n$/);
}
