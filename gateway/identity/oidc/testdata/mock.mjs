// oauth2-mock-server for tests. Arguments: the folder of node_modules, and the port. Each
// line on standard input is the JSON of claims for the tokens that come. "ready" on standard
// output answers each.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [modules, port] = process.argv.slice(2);
const { OAuth2Server } = await import(pathToFileURL(`${modules}/oauth2-mock-server/dist/index.js`).href);

const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
server.issuer.url = `http://127.0.0.1:${port}`;
let claims = {};
server.service.on('beforeTokenSigning', (token) => Object.assign(token.payload, claims));
await server.start(Number(port), '127.0.0.1');
for await (const line of createInterface({ input: process.stdin })) {
  claims = JSON.parse(line);
  console.log('ready');
}
await server.stop();
