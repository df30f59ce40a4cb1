// Expectations, counted. Each one says what was expected and what came, and none prints a secret.

import { isDeepStrictEqual } from 'node:util';

const secrets = new Set();
let passed = 0;
let failed = 0;

/** From now on this text is never printed, and `leaks` finds it. */
export function keepSecret(text) {
  if (text) secrets.add(text);
}

/** The text with every known secret taken out, and cut to what a person reads. */
export function masked(text) {
  let shown = String(text);
  for (const secret of secrets) shown = shown.replaceAll(secret, '(secret)');
  return shown.length > 2_000 ? `${shown.slice(0, 2_000)}... (${shown.length} characters)` : shown;
}

/** Whether one of the known secrets stands in this text or these bytes. */
export function leaks(bytes) {
  const haystack = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
  return [...secrets].some((secret) => haystack.includes(secret));
}

function indented(value) {
  const text = typeof value === 'string' ? value : value instanceof RegExp ? String(value) : JSON.stringify(value);
  return masked(text ?? 'nothing').trimEnd().replaceAll('\n', '\n             ') || '(empty)';
}

/** The one place that counts. */
export function expect(what, holds, expected, came) {
  if (holds) {
    passed += 1;
    console.log(`  ok       ${masked(what)}`);
  } else {
    failed += 1;
    console.log(`  FAILED   ${masked(what)}\n  expected   ${indented(expected)}\n  came       ${indented(came)}`);
  }
  return holds;
}

export const equal = (what, came, expected) => expect(what, isDeepStrictEqual(came, expected), expected, came);
export const matches = (what, came, pattern) => expect(what, pattern.test(came), pattern, came);
export const contains = (what, came, part) => expect(what, came.includes(part), `... ${part} ...`, came);

/** One part of the run. What breaks it off is a failure of this part and does not stop the others. */
export async function part(title, work) {
  console.log(`\n${title}`);
  try {
    await work();
  } catch (error) {
    expect(`"${title}" runs to its end`, false, 'no exception', error?.stack ?? error);
  }
}

/** Waits for what `look` returns to be truthy, a bounded time. */
export async function until(what, look, { within = 15_000, every = 50 } = {}) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited ${within / 1_000} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** The closing line, in the one shape that counts, and the exit status. */
export function closing() {
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}
