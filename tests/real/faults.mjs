// Two servers from PyPI that simulate failures: llmock, which also judges its clients, and mock-ai-api, which sends an
// error as the first event of a stream. Both accept any bearer.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { contains, equal, expect, matches, until } from './check.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** Starts both on free ports. mock-ai-api leaves its workers behind; they end with their process namespace. */
export async function start({ freePort, children }) {
  const [llmockPort, mockPort, unused] = [await freePort(), await freePort(), await freePort()];
  const run = async (program, args, answers) => {
    const words = ['--pid', '--fork', '--kill-child', join(here, 'venv', 'bin', program), ...args];
    const child = spawn('unshare', words, { stdio: 'ignore', env: { PATH: process.env.PATH } });
    children.add(child);
    await until(`${program} to listen`, () => fetch(answers).then(() => true, () => false), { within: 60_000 });
  };
  const llmock = `http://127.0.0.1:${llmockPort}`;
  const mock = `http://127.0.0.1:${mockPort}`;
  await run('llmock', ['serve', '--host', '127.0.0.1', '--port', llmockPort, '--log-level', 'warning'], `${llmock}/_llmock/verdict`);
  await run('mock-ai-api', ['--openai-port', unused, '--anthropic-port', mockPort], `${mock}/v1/models`);
  return { llmock, mock };
}

export const configuration = ({ llmock, mock }, client) => `
[provider.llmock]
${client}
api_url = "${llmock}/anthropic"
model = "m"

[provider.mock]
${client}
api_url = "${mock}"
model = "m"
`;

export async function judged({ faults, nexus, server, signIn }) {
  const { page, ran } = await signIn('ada', ['--provider', 'llmock']);
  await page.context().close();
  equal('oauth start ends well', ran.code, 0);

  const call = async (path, body) => {
    const answer = await fetch(`${faults.llmock}/_llmock/${path}`, body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return answer.json();
  };
  /** Asks with these faults. Returns the object, stderr, and the number of requests. */
  const ask = async (behaviors, ...more) => {
    await call('reset', {});
    await call('scenario', { behaviors });
    const ran = await nexus.run(['chat', '--provider', 'llmock', '--json', ...more, 'hello']);
    const { count } = await call('requests');
    return { ran, code: ran.code, said: ran.stderr, object: JSON.parse(ran.stdout), count, verdict: await call('verdict') };
  };
  const content = (what, { verdict }) => equal(`llmock has nothing against ${what}`, verdict.findings.filter(({ severity }) => severity === 'error'), []);

  const whole = await ask([]);
  equal('an answer is whole', [whole.code, whole.object.stop_reason, whole.object.error], [0, 'end_turn', undefined]);
  content('it', whole);

  for (const status of [408, 409, 429, 500, 502, 503, 504, 529]) {
    const again = await ask([{ type: 'fail', status, retry_after: 1, times: 1 }]);
    equal(`${status} is asked again once, and answered`, [again.code, again.count], [0, 2]);
    matches(`and says why`, again.said, new RegExp(`^note: 127\\.0\\.0\\.1:\\d+ answered ${status}.*; retrying in .+\\n$`));
    content(`how ${status} was tried again`, again);
  }
  for (const status of [400, 403, 404, 413, 422]) {
    const once = await ask([{ type: 'fail', status, times: 1 }]);
    equal(`${status} is asked once`, [once.code, once.count, once.object.error.http_status], [1, 1, status]);
    content(`how ${status} was taken`, once);
  }
  const long = await ask([{ type: 'fail', status: 429, retry_after: 600, times: 1 }]);
  equal('a wait longer than the deadline ends it at once', [long.code, long.count, long.object.error.retry_after], [75, 1, 600]);
  const spent = await ask([{ type: 'fail', status: 529, retry_after: 1, times: 3 }], '--retries', '1');
  equal('there are as many retries as wanted', [spent.code, spent.count, spent.object.error.reason], [75, 2, 'overloaded']);

  const refreshes = server.count('refresh_token');
  const renewed = await ask([{ type: 'fail', status: 401, times: 1 }]);
  equal('a 401 renews the token once', [renewed.code, renewed.count, server.count('refresh_token') - refreshes], [0, 2, 1]);
  equal('and is no retry', renewed.said, '');

  for (const kind of ['truncate', 'disconnect']) {
    const cut = await ask([{ type: 'stream_fault', kind, after_chunks: 5 }]);
    equal(`a stream that ends by ${kind} is no answer`, [cut.code, cut.count, cut.object.answer, cut.object.error.reason], [75, 1, null, 'answer_cut']);
    expect('its text is told apart', cut.object.partial?.length > 0, 'some text', cut.object.partial);
    // llmock cannot see the exit code, and expects a retry; nexus does not retry half an answer.
    if (kind === 'disconnect') content(`how ${kind} was taken`, cut);
    const early = await ask([{ type: 'stream_fault', kind, after_chunks: 2 }]);
    equal(`by ${kind} before any text: asked again, and answered`, [early.code, early.count], [0, 2]);
    content('that', early);
  }
  const malformed = await ask([{ type: 'stream_fault', kind: 'malformed', after_chunks: 5 }]);
  equal('an event of broken JSON is no answer', [malformed.code, malformed.object.error.reason], [75, 'answer_cut']);
  content('that', malformed);
  const stalled = await ask([{ type: 'stream_fault', kind: 'stall', after_chunks: 5, stall_seconds: 2 }]);
  equal('a stall of two seconds is waited for', [stalled.code, stalled.object.stop_reason], [0, 'end_turn']);
  const slow = await ask([{ type: 'delay', seconds: 20 }], '--deadline', '1s');
  equal('what does not begin in time is overdue', [slow.code, slow.object.error.reason], [75, 'deadline_exceeded']);
}

export async function errorEvent({ nexus, signIn }) {
  const { page, ran } = await signIn('ada', ['--provider', 'mock']);
  await page.context().close();
  equal('oauth start ends well', ran.code, 0);
  const chat = (model, ...more) => nexus.run(['chat', '--provider', 'mock', '--model', model, ...more, 'hello']);
  const whole = await chat('m');
  equal('it answers', [whole.code, whole.stderr], [0, '']);
  const failed = await chat('m:mock-stream-error', '--output', 'stream-json', '--retries', '2');
  const lines = failed.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  equal('an error as the first event is asked again, in vain', lines.map(({ type }) => type), ['retry', 'retry', 'start', 'error']);
  equal('and is temporary', [failed.code, lines.at(-1).error.reason, lines.at(-1).error.type], [75, 'server_error', 'api_error']);
  for (const [scenario, code] of [['mock-400', 1], ['mock-429', 75], ['mock-500', 75], ['mock-503', 75]]) {
    const refused = await chat(`m:${scenario}`, '--retries', '0');
    equal(`${scenario} is exit ${code}`, [refused.code, refused.stdout], [code, '']);
    contains('and says so', refused.stderr, `answered ${scenario.slice(5)} `);
  }
  const renewed = await chat('m:mock-401');
  equal('a 401 with a fresh token asks to sign in', renewed.code, 4);
}
