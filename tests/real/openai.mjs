// The Chat Completions API, and attachments in both dialects.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contains, equal, expect, matches } from './check.mjs';
import { ANSWERS, PREFIX } from './stage.mjs';

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export async function completions({ gateway, nexus, signIn }) {
  const openai = ['--provider', 'openai'];
  const { page, ran } = await signIn('edsger', openai);
  equal('oauth start --provider openai ends well', ran.code, 0);

  let firstPiece;
  const told = await nexus.run(['chat', ...openai, 'tell me', 'a story'], { onOutput: () => (firstPiece ??= performance.now()) });
  equal('nexus chat prints the answer', [told.code, told.stdout, told.stderr], [0, `${ANSWERS['tell me a story']}\n`, '']);
  const request = gateway.log.at(-1);
  equal('from the other endpoint', [request?.method, request?.path], ['POST', `${PREFIX}/v1/chat/completions`]);
  equal('without a header of the Messages API', Object.keys(request?.headers ?? {}).filter((name) => name.startsWith('anthropic-')), []);
  expect('its first words came before the answer had ended', firstPiece < request?.endedAt, 'first piece, then the end', `piece ${firstPiece}, end ${request?.endedAt}`);

  const object = JSON.parse((await nexus.run(['chat', ...openai, '--json', 'hello'])).stdout);
  equal('--json tells the same', [object.version, object.answer, object.stop_reason], [1, ANSWERS.hello, 'end_turn']);
  matches('nexus models lists one id a line', (await nexus.run(['models', ...openai])).stdout, /^(\S+\n)+$/);
  const { models } = JSON.parse((await nexus.run(['models', ...openai, '--json'])).stdout);
  matches('with their dates', models[0].created_at ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  await page.context().close();
}

export async function bothDialects({ gateway, home, nexus, signIn }) {
  const [notes, pixel] = ['notes.txt', 'pixel.png'].map((name) => join(home, name));
  writeFileSync(notes, 'Thesis: less is more.\n', { mode: 0o600 });
  writeFileSync(pixel, Buffer.from(PIXEL, 'base64'), { mode: 0o600 });
  const { page } = await signIn('barbara');
  await page.context().close();
  for (const provider of ['real', 'openai']) {
    const chat = ['chat', '--provider', provider];
    const thought = await nexus.run([...chat, 'think first']);
    equal(`${provider}: what a model thinks is no part of the answer`, [thought.code, thought.stdout], [0, `${ANSWERS['think first']}\n`]);
    const seen = await nexus.run([...chat, '-a', notes, '-a', pixel, 'hello']);
    equal(`${provider}: files go along`, [seen.code, seen.stdout, seen.stderr], [0, `${ANSWERS.hello}\n`, '']);
    const sent = gateway.log.at(-1).body;
    contains(`${provider}: the text was sent`, sent, 'less is more');
    contains(`${provider}: and the picture`, sent, PIXEL);
  }
}

export async function refusals({ nexus, server, signIn }) {
  const direct = ['--provider', 'direct'];
  const { page, ran } = await signIn('donald', direct);
  await page.context().close();
  equal('oauth start --provider direct ends well', ran.code, 0);
  const before = server.count('refresh_token');
  const told = await nexus.run(['chat', ...direct, 'hello']);
  equal('nexus chat asks to sign in', [told.code, told.stdout], [4, '']);
  matches('and names what the API answered', told.stderr, /^error: the API rejected a fresh access token: 127\.0\.0\.1:\d+ answered 401 \S.*\n {2}run `nexus oauth start --provider direct`\n$/);
  equal('after one more token', server.count('refresh_token') - before, 1);
  for (const provider of ['real', 'openai', 'direct']) {
    equal(`nexus oauth logout --provider ${provider}`, (await nexus.run(['oauth', 'logout', '--provider', provider])).code, 0);
  }
}
