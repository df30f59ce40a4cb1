// Counts expectations, and prints those that fail without secrets.

import { isDeepStrictEqual } from 'node:util';

const secrets = new Set();
let passed = 0;
let failed = 0;

/** Adds a secret, which `masked` hides and `leaks` finds. */
export function keepSecret(text) {
  if (text) secrets.add(text);
}

/** The text without known secrets, cut to 2,000 characters. */
export function masked(text) {
  let shown = String(text);
  for (const secret of secrets) shown = shown.replaceAll(secret, '(secret)');
  return shown.length > 2_000 ? `${shown.slice(0, 2_000)}... (${shown.length} characters)` : shown;
}

/** Whether this text has a known secret. */
export function leaks(bytes) {
  const haystack = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
  return [...secrets].some((secret) => haystack.includes(secret));
}

function indented(value) {
  const text = typeof value === 'string' ? value : value instanceof RegExp ? String(value) : JSON.stringify(value);
  return masked(text ?? 'nothing').trimEnd().replaceAll('\n', '\n             ') || '(empty)';
}

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

/** One part of the run. An exception fails this part only. */
export async function part(title, work) {
  console.log(`\n${title}`);
  try {
    await work();
  } catch (error) {
    expect(`"${title}" runs to its end`, false, 'no exception', error?.stack ?? error);
  }
}

/** Waits until `look` returns something truthy. */
export async function until(what, look, { within = 15_000, every = 50 } = {}) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited ${within / 1_000} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** Prints the last line, and returns the exit status. */
export function closing() {
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}
