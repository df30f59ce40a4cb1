// Sign-ins that succeed and fail.

import { createServer, request as call } from 'node:http';
import { BY_VARIABLES, CONFIDENTIAL } from './authorization_server.mjs';
import * as browsers from './browser.mjs';
import { contains, equal, expect, matches } from './check.mjs';
import { ANSWERS, UNKNOWN } from './stage.mjs';

export async function publicClient({ browser, lastGrant, nexus, server, signIn }) {
  const { asked, redirectUri, page, text, ran } = await signIn('ada');
  equal('the browser was sent to the authorization endpoint', asked.origin + asked.pathname, `${server.issuer}/auth`);
  equal('with PKCE, S256', asked.searchParams.get('code_challenge_method'), 'S256');
  matches('and a challenge of 256 bits', asked.searchParams.get('code_challenge') ?? '', /^[\w-]{43}$/);
  matches('a random state', asked.searchParams.get('state') ?? '', /^[\w-]{22,}$/);
  matches('and any free port', redirectUri, /^http:\/\/127\.0\.0\.1:[1-9]\d*\/callback$/);
  matches('the final page says so', text, /signed in/i);
  equal('the final page made the browser complain of nothing', page.complaints, []);
  await browser.inspect(page, 'signed-in');
  await page.context().close();
  equal('oauth start ends well', ran.code, 0);
  equal('with nothing on stdout', ran.stdout, '');
  expect('the URL stands alone on a line of stderr', ran.stderr.split('\n').includes(asked.href), asked.href, ran.stderr);
  matches('who signed in, and for how long', ran.stderr, /Signed in as ada@example\.test, token expires in \d+ minutes/);
  const { type, secretIn, userAgent } = lastGrant();
  equal('one code was redeemed, without a secret', [server.log.grants.length, type, secretIn], [1, 'authorization_code', 'nothing']);
  matches('by a program that says its name', userAgent, /^nexus\/\d/);
}

export async function again({ lastGrant, nexus, server, signIn, status }) {
  const first = lastGrant();
  const { page, ran } = await signIn('mary');
  equal('oauth start with another account ends well', ran.code, 0);
  equal('that is who is signed in now', (await status()).account, 'mary@example.test');
  equal('the replaced session was revoked', (await server.introspect(first.refreshToken)).active, false);
  equal('the new one is good', (await server.introspect(lastGrant().accessToken)).active, true);

  // In the same browser both sessions share one grant, so revoking a token of one would end the other.
  const once = await signIn('mary', [], { before: page });
  await page.context().close();
  equal('oauth start once more from the same browser ends well', once.ran.code, 0);
  equal('its access token is good', (await server.introspect(lastGrant().accessToken)).active, true);
  equal('its refresh token is good', (await server.introspect(lastGrant().refreshToken)).active, true);
  equal('nexus chat answers', (await nexus.run(['chat', 'hello'])).code, 0);
}

export async function confidentialClient({ expire, gateway, lastGrant, nexus, redirectUris, server, signIn, status }) {
  const { page, redirectUri, ran } = await signIn('grace', ['--provider', 'confidential']);
  await page.context().close();
  equal('the registered redirect URI was sent', redirectUri, redirectUris.confidential);
  equal('oauth start ends well', ran.code, 0);
  equal('its secret went in a Basic header the server accepts', [lastGrant().client, lastGrant().secretIn], [CONFIDENTIAL.id, 'header']);
  await expire('--provider', 'confidential');
  const told = await nexus.run(['chat', '--provider', 'confidential', 'hello']);
  equal('nexus chat renews and answers', [told.code, told.stdout, lastGrant().type, lastGrant().secretIn], [0, `${ANSWERS.hello}\n`, 'refresh_token', 'header']);
  equal('the gateway saw that client', gateway.log.at(-1).client, CONFIDENTIAL.id);
  equal('the other session is untouched', (await status()).account, 'mary@example.test');
}

export async function threeVariables({ expire, gateway, lastGrant, nexus, redirectUris, server, signIn }) {
  const env = {
    CLAUDE_CODE_CLIENT_ID: BY_VARIABLES.id,
    CLAUDE_CODE_CLIENT_SECRET: BY_VARIABLES.secret,
    CLAUDE_CODE_REDIRECT_URI: redirectUris.variables,
  };
  const args = ['--provider', 'claude_code'];
  const beforeOpening = async (url) => {
    const address = new URL('/oauth/claude/authorize', redirectUris.variables);
    const answer = await get(address, { accept: '*/*' });
    equal('the listener hands out the URL as text', [answer.status, answer.text.trim()], [200, url]);
    const navigation = { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    const redirect = await get(address, { accept: 'text/html', ...navigation });
    equal('and sends a browser there', redirect.headers.location, url);
  };
  const { page, redirectUri, ran } = await signIn('joan', args, { env, beforeOpening });
  await page.context().close();
  equal('the redirect URI is the variable\'s', redirectUri, redirectUris.variables);
  equal('oauth start ends well', ran.code, 0);
  equal('its secret went in the body', [lastGrant().client, lastGrant().secretIn], [BY_VARIABLES.id, 'body']);
  await expire(...args);
  const told = await nexus.run(['chat', ...args, 'hello']);
  equal('without the variables nexus chat still renews and answers', [told.code, told.stdout, lastGrant().type, lastGrant().secretIn], [0, `${ANSWERS.hello}\n`, 'refresh_token', 'body']);
  matches('with the beta header of this provider', gateway.log.at(-1).headers['anthropic-beta'] ?? '', /oauth-2025-04-20/);
  equal('oauth logout revokes', (await nexus.run(['oauth', 'logout', ...args])).code, 0);
  equal('the refresh token is no longer good', (await server.introspect(lastGrant().refreshToken)).active, false);
}

/** A GET without the headers that fetch() adds. */
function get(url, headers) {
  return new Promise((resolve, reject) => {
    const request = call(url, { headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece) => (text += piece));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    request.on('error', reject).end();
  });
}

export async function pageOfTheSameOrigin({ browser, nexus, redirectUris }) {
  const { origin, pathname, port } = new URL(redirectUris.confidential);
  const earlier = createServer((_request, answer) => answer.setHeader('content-type', 'text/html').end('<title>Earlier</title>'));
  await new Promise((resolve) => earlier.listen(port, '127.0.0.1', resolve));
  const page = await browser.open(origin);
  earlier.closeAllConnections();
  await new Promise((resolve) => earlier.close(resolve));

  const command = await nexus.startWithBrowser(['oauth', 'start', '--provider', 'confidential', '--timeout', '5s']);
  const fetched = (path) => page.evaluate((path) => fetch(path, { redirect: 'manual' }).then(async (answer) => [answer.status, await answer.text()]), path);
  const [status, text] = await fetched('/oauth/authorize');
  expect('a page of the same origin cannot read the URL', status >= 400 && !text.includes('state'), 'a refusal', [status, text]);
  const [forged] = await fetched(`${pathname}?code=forged&state=${new URL(command.url).searchParams.get('state')}`);
  expect('nor forge a callback by fetch()', forged >= 400, 'a refusal', forged);
  await page.evaluate((path) => {
    const frame = document.createElement('iframe');
    const loaded = new Promise((resolve) => (frame.onload = resolve));
    frame.src = path;
    document.body.append(frame);
    return loaded;
  }, `${pathname}?code=forged&state=${new URL(command.url).searchParams.get('state')}`);
  await page.context().close();
  const ran = await command.done;
  equal('nor in a frame: the wait goes on until its time is over', [ran.code, ran.stdout], [4, '']);
  contains('and says so', ran.stderr, '5 seconds');
}

export async function refusal({ browser, nexus, server, status }) {
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
  equal('no session is left', (await status()).state, 'none');
}

export async function unknownClient({ browser, nexus, server }) {
  const command = await nexus.startWithBrowser(['oauth', 'start', '--provider', 'unknown', '--timeout', '3s']);
  const page = await browser.open(command.url);
  contains('the browser shows what the server says', await page.innerText('body'), 'invalid_client');
  await page.context().close();
  const ran = await command.done;
  equal('oauth start exits 4 when its time is over, stdout empty', [ran.code, ran.stdout], [4, '']);
  // Without the URL, which has both.
  const sentence = ran.stderr.replaceAll(command.url, '');
  contains('it names the client id as sent', sentence, UNKNOWN);
  contains('and the redirect URI as sent', sentence, new URL(command.url).searchParams.get('redirect_uri'));
}

export async function demo({ browser, nexus }) {
  const command = await nexus.startWithBrowser(['demo'], { atTerminal: true });
  const page = await browser.open(command.url);
  equal('it made the browser complain of nothing', page.complaints, []);
  matches('it says what it is', await page.innerText('body'), /sandbox|demo/i);
  await browser.inspect(page, 'sandbox-consent');
  await page.click('button[value=allow]');
  await browsers.finalPage(page, new URL(command.url).searchParams.get('redirect_uri'));
  await page.context().close();
  equal('the demo ends well', (await command.done).code, 0);
}
