// The QR code of a sign-in on another device, read back from a terminal of 80 columns by zbarimg.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { equal, until } from './check.mjs';

/** Pixels of a module. */
const SCALE = 6;

/** A server whose device flow is never approved. */
async function startServer(complete) {
  const http = createServer((request, response) => {
    const origin = `http://127.0.0.1:${http.address().port}`;
    const codes = {
      device_code: 'd',
      user_code: 'WDJB-MJHT',
      verification_uri: `${origin}/device`,
      verification_uri_complete: complete(origin),
      expires_in: 600,
    };
    const [status, body] = request.url === '/codes' ? [200, codes] : [400, { error: 'authorization_pending' }];
    request.resume().on('end', () => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)));
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  return http;
}

/** What a camera sees: an image (PGM) of the half blocks, white on a black terminal. */
function picture(lines) {
  const width = (Math.max(...lines.map((line) => line.length)) + 8) * SCALE;
  const rows = lines.flatMap((line) => ['█▀', '█▄'].map((light) => [...line].map((block) => light.includes(block))));
  const dark = Array.from({ length: 4 }, () => []);
  const pixels = [...dark, ...rows, ...dark].flatMap((row) => {
    const line = Buffer.alloc(width);
    row.forEach((isLight, at) => line.fill(isLight ? 255 : 0, (at + 4) * SCALE, (at + 5) * SCALE));
    return Array.from({ length: SCALE }, () => line);
  });
  return Buffer.concat([Buffer.from(`P5 ${width} ${pixels.length} 255\n`), ...pixels]);
}

export async function readBack({ folder, nexus }) {
  const home = join(folder, 'qr');
  mkdirSync(home, { mode: 0o700 });
  for (const [what, path] of [
    ['a short URL', '/device?user_code=WDJB-MJHT'],
    ['a long URL', `/activate?user_code=WDJB-MJHT&tenant=${'0123456789abcdef'.repeat(3)}`],
  ]) {
    const http = await startServer((origin) => origin + path);
    const origin = `http://127.0.0.1:${http.address().port}`;
    const keys = { authorize_url: `${origin}/a`, token_url: `${origin}/token`, device_url: `${origin}/codes`, client_id: 'c' };
    const section = Object.entries(keys).map(([key, value]) => `${key} = "${value}"\n`).join('');
    writeFileSync(join(home, 'config.toml'), `default = "qr"\n[provider.qr]\n${section}`, { mode: 0o600 });
    for (const [look, env] of [['in colors', { TERM: 'xterm' }], ['without colors', { TERM: 'xterm', NO_COLOR: '1' }]]) {
      const command = nexus.start(['oauth', 'start', '--timeout', '1s'], { env: { NEXUS_HOME: home, ...env }, atTerminal: '80x40' });
      await until('the code to be shown', () => command.ran.stdout.includes('(Ctrl-C cancels)') || command.ran.ended);
      const text = command.ran.stdout.replace(/\x1b\[[\d;]*[A-Za-z]/g, '').split(/\r?\n/);
      const file = join(folder, 'qr.pgm');
      writeFileSync(file, picture(text.filter((line) => /^[█▀▄ ]{20,80}$/.test(line))));
      let read;
      try {
        read = execFileSync('zbarimg', ['-q', '--raw', '--nodbus', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      } catch {
        read = command.ran.stdout;
      }
      equal(`the QR code of ${what} is read back ${look}`, read, `${origin}${path}\n`);
      await command.done;
    }
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  }
}
