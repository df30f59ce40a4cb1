// better-auth with its oauth-provider plugin, and the two pages that its users write themselves.
//
// It registers a loopback redirect URI only for `application_type: "native"`, and tells the e-mail address by userinfo.

import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { oauthProvider } from '@better-auth/oauth-provider';
import { betterAuth } from 'better-auth';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';

const ada = { name: 'Ada Lovelace', email: 'ada@example.test', password: 'correct horse 9' };

/** A page whose form is sent to the API with the query of the page, and which then goes where the answer says. */
const page = (fields, path, body) => `<!doctype html><title>better-auth</title><form>${fields}<button>Go on</button></form>
<script>
  const form = document.forms[0];
  form.onsubmit = async (event) => {
    event.preventDefault();
    const body = JSON.stringify({ ...${body}, oauth_query: location.search.slice(1) });
    const answer = await fetch('/api/auth${path}', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    location = (await answer.json()).url;
  };
</script>`;
const pages = {
  '/sign-in': page('<input name=email><input name=password type=password>', '/sign-in/email', 'Object.fromEntries(new FormData(form))'),
  '/consent': page('', '/oauth2/consent', '{ accept: true }'),
};

export async function start({ freePort, lifetime, stops }) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const auth = betterAuth({
    baseURL: url,
    secret: randomBytes(32).toString('hex'),
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'error' },
    disabledPaths: ['/token'],
    plugins: [
      jwt(),
      oauthProvider({
        loginPage: '/sign-in',
        consentPage: '/consent',
        allowDynamicClientRegistration: true,
        allowUnauthenticatedClientRegistration: true,
        accessTokenExpiresIn: lifetime,
        silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
      }),
    ],
  });
  await auth.api.signUpEmail({ body: ada });
  const handle = toNodeHandler(auth);
  const metadata = {
    '/.well-known/oauth-authorization-server/api/auth': () => auth.api.getOAuthServerConfig(),
    '/api/auth/.well-known/openid-configuration': () => auth.api.getOpenIdConfig(),
  };
  const http = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, url);
    if (pages[pathname]) response.setHeader('content-type', 'text/html').end(pages[pathname]);
    else if (metadata[pathname]) response.setHeader('content-type', 'application/json').end(JSON.stringify(await metadata[pathname]()));
    else handle(request, response);
  });
  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  stops.push(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return {
    name: 'better-auth',
    issuer: `${url}/api/auth`,
    userinfo: `${url}/api/auth/oauth2/userinfo`,
    account: ada.email,
    // It refuses the gateway as a resource that it does not know, and tells the address only to those who ask for it.
    section: [`issuer = "${url}/api/auth"`, 'resource = ""'],
    typed: (gateway) => [`${url}/api/auth`, '--api-url', gateway, ...['openid', 'email', 'offline_access'].flatMap((scope) => ['--scope', scope])],
    async approve(page) {
      await page.fill('input[name=email]', ada.email);
      await page.fill('input[name=password]', ada.password);
      await page.click('button');
      await page.waitForURL('**/consent?*');
      await page.click('button');
    },
  };
}
