// Programs that use the session: official SDKs under `nexus exec`, and a web page that must not.

import { join } from 'node:path';
import { contains, equal, expect } from './check.mjs';
import { ANSWERS } from './stage.mjs';

const STORY = ANSWERS['tell me a story'];

/** A file beside this one. */
const here = (name) => join(import.meta.dirname, name);

export async function sdks({ gateway, lastGrant, nexus }) {
  const run = async (provider, ...command) => {
    const ran = await nexus.run(['exec', '--provider', provider, '--', ...command]);
    equal(`${command.at(-1)} ends well`, [ran.code, ran.stderr], [0, '']);
    return JSON.parse(ran.stdout || '{}');
  };
  equal('the Anthropic SDK streams, and asks 64 questions at once', await run('real', process.execPath, here('sdk_anthropic.mjs')), { streamed: STORY, answered: 64 });
  equal('with one bearer for all of them', new Set(gateway.log.slice(-65).map(({ bearer }) => bearer)).size, 1);
  equal('the OpenAI SDK does the same', await run('openai', process.execPath, here('sdk_openai.mjs')), { streamed: STORY, answered: 64 });
  equal('the Anthropic SDK for Python streams, and is refused with a wrong key', await run('real', here('venv/bin/python'), here('sdk_anthropic.py')), { streamed: STORY, refused: 401 });
  const environment = await nexus.run(['exec', '--provider', 'real', '--', 'env']);
  expect('the token is not in the environment', !environment.stdout.includes(lastGrant().accessToken), 'no token', environment.stdout);
}

export async function webPage({ browser, gateway, mock, nexus }) {
  let listening;
  const begun = new Promise((resolve) => (listening = resolve));
  const { ran, done, interrupt } = nexus.start(['proxy', '--provider', 'real', '--json'], { onOutput: listening });
  await Promise.race([begun, done]);
  const { url, key } = JSON.parse(ran.stdout);
  const requests = gateway.log.length;
  const page = await browser.open(`${mock.url}/`);
  const ask = ([address, header]) =>
    fetch(`${address}/v1/models`, header).then((response) => `answered ${response.status}`, () => 'refused');
  equal('a page cannot ask with the key', await page.evaluate(ask, [url, { headers: { 'x-api-key': key } }]), 'refused');
  equal('nor without one', await page.evaluate(ask, [url, {}]), 'refused');
  await page.evaluate(ask, [url, { mode: 'no-cors' }]);
  equal('nothing of that reached the gateway', gateway.log.length, requests);
  await page.context().close();
  interrupt();
  equal('Ctrl-C ends the proxy', (await done).code, 130);
  contains('which said where it listened', ran.stderr, url);
}
