// Use, refresh and end of a session.

import { CONFIDENTIAL, PUBLIC } from './authorization_server.mjs';
import { contains, equal, expect, leaks, matches } from './check.mjs';
import { fingerprint } from './gateway.mjs';
import { ANSWERS, LONG, PREFIX } from './stage.mjs';

export async function use({ gateway, lastGrant, nexus, server, status }) {
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

  const requests = gateway.log.length;
  let firstPiece;
  const told = await nexus.run(['chat', 'tell me', 'a story'], { onOutput: () => (firstPiece ??= performance.now()) });
  equal('nexus chat prints the answer', told.stdout, `${ANSWERS['tell me a story']}\n`);
  equal('exits 0 and says nothing else', [told.code, told.stderr], [0, '']);
  const request = gateway.log.at(-1);
  equal('one request', [gateway.log.length - requests, request?.method, request?.path], [1, 'POST', `${PREFIX}/v1/messages`]);
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
}

export async function renewal({ expire, gateway, lastGrant, nexus, server, status }) {
  await expire();
  const before = server.count('refresh_token');
  const requests = gateway.log.length;
  const old = lastGrant();
  const line = await nexus.run(['oauth', 'status']);
  matches('oauth status says what will happen', line.stdout, /^Token expired \d+ seconds? ago, will refresh on next use\n$/);
  equal('and calls that healthy', line.code, 0);
  const told = await nexus.run(['chat', 'hello']);
  equal('nexus chat answers as if nothing were', [told.code, told.stdout, told.stderr], [0, `${ANSWERS.hello}\n`, '']);
  equal('after exactly one refresh', server.count('refresh_token') - before, 1);
  equal('the bearer changed', gateway.log.at(-1).bearer, fingerprint(lastGrant().accessToken));
  expect('both tokens were rotated', lastGrant().accessToken !== old.accessToken && lastGrant().refreshToken !== old.refreshToken, 'new ones', 'an old one');
  equal('no bearer was refused', gateway.log.slice(requests).filter(({ status: code }) => code === 401), []);
  equal('oauth status', (await status()).state, 'active');
}

export async function twelveAtOnce({ expire, lastGrant, nexus, server }) {
  await expire();
  const before = server.count('refresh_token');
  const twelve = await Promise.all(Array.from({ length: 12 }, () => nexus.run(['oauth', 'token'])));
  equal('all end well', twelve.map(({ code }) => code), Array(12).fill(0));
  equal('with one refresh', server.count('refresh_token') - before, 1);
  expect('and the same token', new Set(twelve.map(({ stdout }) => stdout)).size === 1, 'one token', `${new Set(twelve.map(({ stdout }) => stdout)).size} tokens`);
  equal('which is the new one', twelve[0].stdout.trim(), lastGrant().accessToken);
  equal('the server saw no token twice', server.log.errors, []);
}

export async function refusedToken({ gateway, lastGrant, nexus, server, status }) {
  const before = server.count('refresh_token');
  const requests = gateway.log.length;
  await server.destroyAccessToken(lastGrant().accessToken);
  equal('oauth status cannot know', (await status()).state, 'active');
  const told = await nexus.run(['chat', 'hello']);
  equal('nexus chat answers all the same', [told.code, told.stdout], [0, `${ANSWERS.hello}\n`]);
  equal('after one refusal', gateway.log.slice(requests).map(({ status: code }) => code), [401, 200]);
  equal('and one refresh', server.count('refresh_token') - before, 1);
  const token = (await nexus.run(['oauth', 'token'])).stdout.trim();
  const answer = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } });
  await answer.body.cancel();
  equal('another program may use what oauth token prints', answer.status, 200);
}

export async function endedByServer({ nexus, server, status }) {
  await server.revokeGrant(server.log.grants.findLast(({ client }) => client === CONFIDENTIAL.id).accessToken);
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
}

export async function signOut({ gateway, nexus, server, status }) {
  equal('there is a session', (await status()).state, 'active');
  const { accessToken, refreshToken } = server.log.grants.findLast(({ client }) => client === PUBLIC.id);
  const out = await nexus.run(['oauth', 'logout']);
  equal('oauth logout ends well, stdout empty', [out.code, out.stdout], [0, '']);
  contains('it says what the server did', out.stderr, `Revoked the session at ${server.host}`);
  contains('and what is gone here', out.stderr, 'Deleted the local session');
  for (const [name, token] of [['access', accessToken], ['refresh', refreshToken]]) {
    equal(`the ${name} token is no longer good`, (await server.introspect(token)).active, false);
  }
  const refused = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${accessToken}` } });
  await refused.body.cancel();
  equal('the gateway refuses it', [refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer realm="gateway", error="invalid_token"']);
  equal('nexus chat exits 4', (await nexus.run(['chat', 'hello'])).code, 4);
  matches('oauth status', (await nexus.run(['oauth', 'status'])).stdout, /^Not signed in: run nexus oauth start( --provider real)?\n$/);
}

export async function silence({ nexus }) {
  const spoken = nexus.transcript.filter(({ args, stdout, stderr }) => leaks(stderr) || (args[1] !== 'token' && leaks(stdout)));
  equal('no output holds a token or a secret but that of oauth token', spoken.map(({ args }) => args.join(' ')), []);
}
