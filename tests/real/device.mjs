// Signing in on another device, which is Chromium: servers that have the device flow (RFC 8628).

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contains, equal, keepSecret, matches, part, until } from './check.mjs';
import * as django from './django.mjs';
import * as glewlwyd from './glewlwyd.mjs';
import * as oidcProvider from './oidc_provider.mjs';
import { freePort } from './stage.mjs';

/** Lifetime of an access token in seconds. */
const LIFETIME = 60;

export async function play({ browser, children, folder: parent, nexus: program, stops }) {
  const folder = join(parent, 'device');
  mkdirSync(folder, { mode: 0o700 });
  const stage = { children, folder, freePort, lifetime: LIFETIME, stops };
  const servers = await Promise.all([oidcProvider, glewlwyd, django].map(({ start }) => start(stage)));
  const sections = servers.map(({ name, issuer, device }) => [
    `[provider.${name}]`,
    `issuer = "${issuer}"`,
    device.clientId ? `client_id = "${device.clientId}"` : 'redirect_uri = "http://127.0.0.1:0/callback"',
    ...(device.url ? [`device_url = "${device.url}"`] : []),
    ...(device.scopes ? [`scopes = ${JSON.stringify(device.scopes)}`] : []),
    '',
  ].join('\n'));
  writeFileSync(join(folder, 'config.toml'), sections.join('\n'), { mode: 0o600 });
  const nexus = (args) => program.start(args, { env: { NEXUS_HOME: folder } });
  for (const server of servers) {
    await part(`${server.name}: signing in on another device`, () => approve({ browser, nexus, server }));
    // Glewlwyd's page has no such button.
    if (server.device.deny) await part(`${server.name}: refusing on another device`, () => deny({ browser, nexus, server }));
  }
}

/** Starts a sign-in without a browser, and opens the page that it shows as another device does. */
async function begin({ browser, nexus, server }) {
  const command = nexus(['oauth', 'start', '--provider', server.name]);
  const shown = () => {
    if (command.ran.ended) throw new Error(`nexus ended with ${command.ran.code}: ${command.ran.stderr}`);
    return /on any device:\n\n(\S+)\n\nand enter this code:\n\n(.+)\n/.exec(command.ran.stderr);
  };
  const [, url, code] = await until('nexus to show a code', shown);
  const page = await browser.open(url);
  return { command, page, code: code.replaceAll(' ', '') };
}

async function approve({ browser, nexus, server }) {
  const { command, page, code } = await begin({ browser, nexus, server });
  await server.device.approve(page, code);
  await page.context().close();
  const ran = await command.done;
  equal('oauth start ends well, stdout empty', [ran.code, ran.stdout], [0, '']);
  contains('and says so', ran.stderr, 'Signed in');
  const token = async (...more) => {
    const { stdout } = await nexus(['oauth', 'token', ...more, '--provider', server.name]).done;
    keepSecret(stdout.trim());
    return stdout.trim();
  };
  const first = await token();
  matches('there is a token', first, /^\S+$/);
  const refreshed = async () => ![first, ''].includes(await token('--min-ttl', `${LIFETIME - 1}s`));
  equal('it is refreshed', await until('another token', refreshed), true);
}

async function deny({ browser, nexus, server }) {
  const { command, page, code } = await begin({ browser, nexus, server });
  await server.device.deny(page, code);
  await page.context().close();
  const ran = await command.done;
  equal('oauth start ends with exit code 4', ran.code, 4);
  contains('and says why', ran.stderr, 'refused the sign-in (access_denied)');
}
