// Runs nexus with the environment that is named here only.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './check.mjs';

const LIMIT = 60_000;

export function program({ binary, home, folder, children }) {
  const opened = join(folder, 'opened');
  const browser = join(folder, 'browser');
  // Renamed into place, so that a half-written URL is never read.
  writeFileSync(browser, `#!/bin/sh\nprintf '%s' "$1" > '${opened}.new' && mv '${opened}.new' '${opened}'\n`);
  chmodSync(browser, 0o755);
  const transcript = [];

  /** Starts the program. `done` never rejects. `interrupt` is Ctrl-C. */
  function start(args, { env = {}, stdin, onOutput, atTerminal } = {}) {
    // `script` gives it a terminal, perhaps of this size (`80x24`), and passes its exit code on.
    const [columns, rows] = typeof atTerminal === 'string' ? atTerminal.split('x') : [];
    const resize = columns ? `stty cols ${columns} rows ${rows}; ` : '';
    const [command, words] = atTerminal ? ['script', ['-qec', `${resize}'${binary}' ${args.join(' ')}`, '/dev/null']] : [binary, args];
    const child = spawn(command, words, {
      cwd: folder,
      env: { PATH: '/usr/bin:/bin', HOME: folder, LANG: 'C.UTF-8', NEXUS_HOME: home, ...env },
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    children.add(child);
    const ran = { args, stdout: '', stderr: '', code: null, signal: null, ended: false };
    transcript.push(ran);
    child.stdout.setEncoding('utf8').on('data', (piece) => {
      ran.stdout += piece;
      onOutput?.(piece);
    });
    child.stderr.setEncoding('utf8').on('data', (piece) => (ran.stderr += piece));
    if (stdin !== undefined) child.stdin.on('error', () => {}).end(stdin);
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT);
    const done = new Promise((resolve) => {
      child.once('error', (error) => {
        ran.stderr += String(error);
        resolve(ran);
      });
      child.once('close', (code, signal) => {
        Object.assign(ran, { code, signal });
        resolve(ran);
      });
    }).finally(() => {
      ran.ended = true;
      clearTimeout(limit);
      children.delete(child);
    });
    return { ran, done, interrupt: () => child.kill('SIGINT') };
  }

  const run = (args, options) => start(args, options).done;

  /** Runs a command that opens a browser, up to the URL it opens. */
  async function startWithBrowser(args, { env, ...options } = {}) {
    rmSync(opened, { force: true });
    const command = start(args, { ...options, env: { BROWSER: browser, ...env } });
    await until(`nexus ${args.join(' ')} to open the browser`, () => existsSync(opened) || command.ran.ended);
    if (!existsSync(opened)) {
      throw new Error(`nexus ${args.join(' ')} opened no browser; it ended with ${command.ran.code}: ${command.ran.stderr || command.ran.stdout}`);
    }
    return { ...command, url: readFileSync(opened, 'utf8') };
  }

  return { run, start, startWithBrowser, transcript };
}
