// oidc-provider as strict as it can be: it takes pushed requests only (PAR), and issues tokens for the resource that is
// asked for. It ignores `offline_access` without `prompt=consent`.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import * as browsers from './browser.mjs';

export async function start({ freePort, lifetime, stops }) {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    scopes: ['openid', 'offline_access', 'model.request'],
    claims: { email: ['email'] },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.test` }) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: lifetime, RefreshToken: 86_400, Session: 86_400, Grant: 86_400, Interaction: 600, IdToken: 600 },
    features: {
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      registration: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => ({ scope: 'model.request' }) },
      revocation: { enabled: true },
    },
    cookies: { keys: [randomBytes(24).toString('base64url')] },
    jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), use: 'sig' }] },
  });
  const http = createServer(provider.callback());
  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  stops.push(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return {
    name: 'oidc-provider',
    issuer,
    // Its userinfo endpoint takes no token that is for another resource.
    accepts: async (token) => (await provider.AccessToken.find(token)) !== undefined,
    account: 'ada',
    wantsConsent: true,
    async approve(page) {
      await browsers.logIn(page, 'ada');
      await browsers.consent(page);
    },
    device: {
      async approve(page, code) {
        await enterCode(page, code);
        await page.click('button:has-text("Continue")');
        await browsers.logIn(page, 'ada');
        await browsers.consent(page);
        await page.waitForSelector('text=Sign-in Success');
      },
      async deny(page, code) {
        await enterCode(page, code);
        await page.click('button[name=abort]');
        await page.waitForSelector('text=interrupted');
      },
    },
  };
}

async function enterCode(page, code) {
  await page.fill('input[name=user_code]', code);
  await page.click('button[type=submit]');
}
