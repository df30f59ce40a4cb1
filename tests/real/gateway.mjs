// The Messages endpoint: aimock behind a gateway, which introspects every bearer (RFC 7662) and replaces it by its own key.

import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createServer, request as call } from 'node:http';
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { keepSecret } from './check.mjs';

export const fingerprint = (token) => createHash('sha256').update(token).digest('hex').slice(0, 12);

/** Starts aimock on a free port with answers to these prompts. */
export async function startMock({ folder, answers, children }) {
  const key = randomBytes(24).toString('base64url');
  keepSecret(key);
  const fixtures = join(folder, 'fixtures.json');
  writeFileSync(fixtures, JSON.stringify({ fixtures: answers }));
  const cli = join(dirname(createRequire(import.meta.url).resolve('@copilotkit/aimock')), 'cli.js');
  const args = [cli, '--port', '0', '--host', '127.0.0.1', '--fixtures', fixtures, '--validate-on-load', '--strict'];
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, AIMOCK_API_KEYS: key },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const url = await new Promise((resolve, reject) => {
    let said = '';
    const read = (piece) => {
      said += piece;
      const found = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(said);
      if (found) resolve(found[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`aimock ended with ${code}: ${said}`)));
    setTimeout(() => reject(new Error(`aimock does not listen: ${said}`)), 20_000).unref();
  });
  return { url, key };
}

/**
 * Starts the gateway: `introspect` judges, `mock` answers. Where `authorizationServer` is given, the gateway names it to
 * those without a credential (RFC 9728).
 */
export async function startGateway({ introspect, mock, prefix, authorizationServer }) {
  const log = [];
  const metadata = `/.well-known/oauth-protected-resource${prefix}`;

  async function handle(request, response) {
    const origin = `http://127.0.0.1:${http.address().port}`;
    if (authorizationServer && request.url === metadata) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ resource: `${origin}${prefix}`, authorization_servers: [authorizationServer] }));
      return;
    }
    const bearer = /^Bearer ([\x21-\x7e]+)$/.exec(request.headers.authorization ?? '')?.[1];
    const entry = {
      method: request.method,
      path: request.url,
      headers: { ...request.headers, authorization: undefined },
      bearer: bearer && fingerprint(bearer),
      active: false,
      body: '',
    };
    log.push(entry);
    request.on('data', (piece) => (entry.body += piece));
    request.pause();
    const claims = bearer ? await introspect(bearer) : { active: false };
    entry.active = claims.active === true && String(claims.scope).split(' ').includes('model.request');
    entry.client = claims.client_id;
    if (!entry.active) {
      entry.status = 401;
      const where = authorizationServer ? `, resource_metadata="${origin}${metadata}"` : '';
      response.writeHead(401, {
        'content-type': 'application/json',
        'request-id': `req_${log.length}`,
        // Without a credential there is no error to name (RFC 6750, section 3).
        'www-authenticate': `Bearer realm="gateway"${bearer ? ', error="invalid_token"' : ''}${where}`,
      });
      const message = bearer ? 'The access token is not active.' : 'A bearer token is required.';
      response.end(JSON.stringify({ type: 'error', error: { type: 'authentication_error', message }, request_id: `req_${log.length}` }));
      return;
    }
    if (!request.url.startsWith(`${prefix}/`)) {
      entry.status = 404;
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ type: 'error', error: { type: 'not_found_error', message: `nothing here: the API is under ${prefix}` } }));
      return;
    }
    const upstream = new URL(request.url.slice(prefix.length), mock.url);
    const headers = { ...request.headers, host: upstream.host, authorization: `Bearer ${mock.key}` };
    const onward = call(upstream, { method: request.method, headers }, (answer) => {
      entry.status = answer.statusCode;
      response.writeHead(answer.statusCode, answer.headers);
      answer.on('data', (piece) => response.write(piece));
      answer.on('end', () => {
        entry.endedAt = performance.now();
        response.end();
      });
    });
    onward.on('error', () => {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    });
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }

  const http = createServer((request, response) => {
    handle(request, response).catch((error) => {
      console.log(`  gateway: ${error.message}`);
      if (!response.headersSent) response.writeHead(502);
      response.end();
    });
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}${prefix}`,
    log,
    stop() {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(resolve));
    },
  };
}
