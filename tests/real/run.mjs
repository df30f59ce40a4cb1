// Runs the built nexus against third-party servers, with a real browser, from sign-in to sign-out.
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
//     +----- bearer ---> llmock, mock-ai-api (Messages, with faults)
//
// Then the servers of device.mjs: Chromium is another device, and nexus has no browser.
// Then the servers of by_url.mjs: nexus gets no configuration, and learns everything from a URL.
//
// Everything listens on free loopback ports. Nothing waits for a fixed time: the run sets the lifetime of the next
// access token, and polls `oauth status` until it has expired. The last line is `N passed, N failed`.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as assertions from './assertions.mjs';
import * as byUrl from './by_url.mjs';
import { closing, expect, part } from './check.mjs';
import * as device from './device.mjs';
import * as faults from './faults.mjs';
import * as openai from './openai.mjs';
import * as otherPrograms from './other_programs.mjs';
import * as qrCode from './qr_code.mjs';
import * as session from './session.mjs';
import * as signingIn from './signing_in.mjs';
import * as stage from './stage.mjs';

if (process.argv.length !== 4) {
  console.error('usage: node run.mjs NEXUS SCREENSHOTS');
  process.exit(2);
}
const [binary, screenshots] = process.argv.slice(2).map((path) => resolve(path));
const folder = mkdtempSync(join(tmpdir(), 'nexus-real-'));
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

mkdirSync(screenshots, { recursive: true });
const set = await stage.set({ binary, screenshots, folder, children, stops });
for (const [title, play] of [
  ['Signing in with a public client', signingIn.publicClient],
  ['Using the session', session.use],
  ['A server that misbehaves and judges', faults.judged],
  ['An error as the first event', faults.errorEvent],
  ['A token that has expired is renewed before it is used', session.renewal],
  ['Twelve at once renew once', session.twelveAtOnce],
  ['A token the gateway refuses is renewed once', session.refusedToken],
  ['A second sign-in replaces the first', signingIn.again],
  ['A confidential client', signingIn.confidentialClient],
  ['The three variables', signingIn.threeVariables],
  ['A session the server has ended', session.endedByServer],
  ['Signing out', session.signOut],
  ['The other dialect', openai.completions],
  ['Files and thoughts in both dialects', openai.bothDialects],
  ['Official SDKs', otherPrograms.sdks],
  ['A web page and the proxy', otherPrograms.webPage],
  ['A refusal in the other dialect', openai.refusals],
  ['A page of the same origin', signingIn.pageOfTheSameOrigin],
  ['A person who says no', signingIn.refusal],
  ['A client id the server does not know', signingIn.unknownClient],
  ['The pages of the demo', signingIn.demo],
]) {
  await part(title, () => play(set));
}
await part('The QR code of another device', () => qrCode.readBack({ ...set, folder }));
await part('Another device', () => device.play({ ...set, children, folder, stops }));
await part('Servers found by their URL alone', () => byUrl.play({ ...set, children, folder, stops }));
await part('Clients with a key of their own', () => assertions.play({ ...set, folder, stops }));
await part('Nothing leaked', () => session.silence(set));

await end();
process.exit(closing());
