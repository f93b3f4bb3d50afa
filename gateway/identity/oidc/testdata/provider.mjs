// An OpenID Connect provider for tests: node-oidc-provider, with the grant for passwords.
// Arguments: the folder of node_modules, and the port. Each line on standard input starts
// it anew on that port, with another key whose name is the line (rsa-1, ec-2). "ready" on
// standard output answers each.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [modules, port] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/${path}`).href);
const { default: Provider, errors } = await load('oidc-provider/lib/index.js');

const issuer = `http://127.0.0.1:${port}`;
const api = 'api://sluice';
const accounts = { alice: { upn: 'alice@example.com', email: 'alice@example.com', email_verified: true } };

function start(kid) {
  const rsa = kid.startsWith('rsa');
  const alg = rsa ? 'RS256' : 'ES256';
  const { privateKey } = rsa
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg };
  const server = {
    scope: 'SMTP.Send other',
    audience: api,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg } },
  };
  const client = {
    client_id: 'sluice', client_secret: 'client-secret', grant_types: ['password', 'client_credentials'],
    redirect_uris: [], response_types: [], id_token_signed_response_alg: alg,
  };
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [
      { ...client, token_endpoint_auth_method: 'client_secret_post' },
      { ...client, client_id: 'other', grant_types: ['client_credentials'] },
    ],
    scopes: ['openid', 'profile'],
    claims: { openid: ['sub'], profile: ['upn', 'email', 'email_verified'] },
    conformIdTokenClaims: false,
    extraTokenClaims: (ctx, token) => accounts[token.accountId],
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts[id] }) }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true, getResourceServerInfo: () => server, useGrantedResource: () => true,
      },
    },
  });
  provider.registerGrantType('password', async (ctx, next) => {
    const { client, params } = ctx.oidc;
    if (params.username !== 'Alice@Example.com' || params.password !== 'canary-password') {
      throw new errors.InvalidGrant('invalid username or password');
    }
    const scope = params.scope || '';
    const { AccessToken, IdToken, Grant, ResourceServer } = provider;
    const grant = new Grant({ accountId: 'alice', clientId: client.clientId });
    grant.addOIDCScope('openid profile');
    grant.addResourceScope(api, server.scope);
    const at = new AccessToken({ accountId: 'alice', client, grantId: await grant.save(), gty: 'password', scope });
    if (params.resource) {
      at.resourceServer = new ResourceServer(api, server);
    }
    ctx.oidc.entity('AccessToken', at);
    ctx.body = { access_token: await at.save(), token_type: 'Bearer', expires_in: at.expiration };
    if (scope.split(' ').includes('openid')) {
      const id = new IdToken({ sub: 'alice', ...accounts.alice }, { ctx });
      id.scope = 'openid profile';
      ctx.body.id_token = await id.issue({ use: 'idtoken' });
    }
    await next();
  }, ['username', 'password', 'scope', 'resource']);
  provider.on('server_error', (ctx, err) => console.error(err));
  return provider.callback();
}

let current;
const listener = createServer((req, res) => current(req, res));
createInterface({ input: process.stdin })
  .on('line', (kid) => {
    current = start(kid);
    if (listener.listening) {
      console.log('ready');
    } else {
      listener.listen(Number(port), '127.0.0.1', () => console.log('ready'));
    }
  })
  .on('close', () => process.exit(0));
