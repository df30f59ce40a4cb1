// The authorization server: oidc-provider, certified by the OpenID Foundation, with its own login and consent pages.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { keepSecret } from './check.mjs';

const random = () => randomBytes(24).toString('base64url');

/** A native public client: no secret, any loopback port (RFC 8252, 7.3). */
export const PUBLIC = { id: 'nexus-desktop', redirectUri: 'http://127.0.0.1:0/callback' };

/** A confidential client whose id and secret show whether both are form-encoded in the Basic header (RFC 6749, 2.3.1). */
export const CONFIDENTIAL = { id: 'team a:nexus+1', secret: `p%41ss: w+rd/&=?~${random()}` };

/** The client of the CLAUDE_CODE_ variables: its secret is sent in the body. */
export const BY_VARIABLES = { id: 'nexus-by-variables', secret: random() };

/** The resource server's client, for introspection (RFC 7662). */
const GATEWAY = { id: 'gateway', secret: random() };

export async function start({ redirectUris }) {
  let handle = (_request, response) => response.writeHead(503).end();
  const http = createServer((request, response) => handle(request, response));
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${http.address().port}`;

  // The lifetime of the next access token in seconds.
  const next = { lifetime: 3_600 };
  const both = {
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: 'openid offline_access email model.request',
  };
  const provider = new Provider(issuer, {
    clients: [
      {
        ...both,
        client_id: PUBLIC.id,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: [PUBLIC.redirectUri.replace(':0/', '/')],
      },
      {
        ...both,
        client_id: CONFIDENTIAL.id,
        client_secret: CONFIDENTIAL.secret,
        token_endpoint_auth_method: 'client_secret_basic',
        redirect_uris: [redirectUris.confidential],
      },
      {
        ...both,
        client_id: BY_VARIABLES.id,
        client_secret: BY_VARIABLES.secret,
        token_endpoint_auth_method: 'client_secret_post',
        redirect_uris: [redirectUris.variables],
      },
      {
        client_id: GATEWAY.id,
        client_secret: GATEWAY.secret,
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: [],
        response_types: [],
        redirect_uris: [],
      },
    ],
    scopes: ['openid', 'offline_access', 'model.request'],
    claims: { email: ['email'] },
    conformIdTokenClaims: false,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.test` }) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: () => next.lifetime, RefreshToken: 86_400, Session: 86_400, Grant: 86_400, Interaction: 600, IdToken: 600 },
    features: {
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    cookies: { keys: [random()] },
    jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), use: 'sig' }] },
  });

  const log = { grants: [], errors: [], authorizations: [] };
  for (const { secret } of [CONFIDENTIAL, BY_VARIABLES, GATEWAY]) keepSecret(secret);
  // Opaque tokens are their own identifiers.
  for (const kind of ['access_token', 'refresh_token', 'authorization_code']) {
    provider.on(`${kind}.saved`, (token) => keepSecret(token.jti));
  }
  provider.on('authorization.accepted', (ctx) => log.authorizations.push({ ...ctx.oidc.params }));
  provider.on('grant.success', (ctx) => {
    keepSecret(ctx.body.id_token);
    log.grants.push({
      type: ctx.oidc.params.grant_type,
      client: ctx.oidc.client.clientId,
      secretIn: /^Basic /.test(ctx.headers.authorization ?? '') ? 'header' : ctx.oidc.body.client_secret ? 'body' : 'nothing',
      userAgent: ctx.headers['user-agent'],
      accessToken: ctx.body.access_token,
      refreshToken: ctx.body.refresh_token,
    });
  });
  for (const event of ['authorization.error', 'grant.error', 'introspection.error', 'revocation.error', 'server_error']) {
    provider.on(event, (_ctx, error) => log.errors.push({ event, error: error.error ?? String(error), description: error.error_description }));
  }
  handle = provider.callback();

  async function introspect(token) {
    const credentials = Buffer.from(`${GATEWAY.id}:${GATEWAY.secret}`).toString('base64');
    const answer = await fetch(`${issuer}/token/introspection`, {
      method: 'POST',
      headers: { authorization: `Basic ${credentials}` },
      body: new URLSearchParams({ token }),
    });
    if (!answer.ok) throw new Error(`introspection answered ${answer.status}`);
    return answer.json();
  }

  return {
    issuer,
    host: new URL(issuer).host,
    next,
    log,
    introspect,
    count: (type) => log.grants.filter((grant) => grant.type === type).length,
    /** Deletes one access token of a session. */
    async destroyAccessToken(accessToken) {
      await (await provider.AccessToken.find(accessToken)).destroy();
    },
    /** Ends a session on the server. */
    async revokeGrant(accessToken) {
      const token = await provider.AccessToken.find(accessToken);
      const { grantId } = token;
      await Promise.all([
        provider.AccessToken.revokeByGrantId(grantId),
        provider.RefreshToken.revokeByGrantId(grantId),
        provider.Grant.adapter.destroy(grantId),
      ]);
    },
    stop() {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(resolve));
    },
  };
}
