// A test EHR in front of a real FHIR server: node server.mjs [--fhir URL] [--port NUMBER]. Without one it is an
// authorization server alone.
// "EHR at http://…" on standard output tells that it is ready. It ends when its standard input does.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { authorizationServer, textOf } from "./authorization.mjs";
import { fhirServer } from "./fhir.mjs";

// oidc-provider wants it, and not every Node 20 has it.
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);

const SETTINGS = {
  omit_context: false, // the token response tells no launch context
  advertise_pkce: true, // smart-configuration has code_challenge_methods_supported
  only_v1_scopes: false, // scopes of version 2 are neither advertised nor granted
  no_smart_configuration: false, // smart-configuration is not there (404)
  relative_urls: false, // endpoints in smart-configuration are paths
  access_token_seconds: 3600, // may be 0 or less: expired as soon as issued
  refuse_refresh: false, // a refresh answers invalid_grant
  refuse_fhir: null, // the status that FHIR requests answer whatever their token
};
// `apis` has, by its base URL, the format of the access tokens for each API: jwt or opaque.
const state = { clientScopes: new Map(), contexts: new Map(), apis: new Map(), generation: 0 };

// Clients, APIs and what was granted stay.
function reset() {
  Object.assign(state, { settings: { ...SETTINGS }, launches: new Map(), patients: [], log: [] });
}

async function registerClient(provider, { scope, ...wanted }) {
  const grant_types = wanted.grant_types ?? ["authorization_code", "refresh_token"];
  const method = wanted.token_endpoint_auth_method ?? "client_secret_basic";
  const metadata = {
    client_id: randomBytes(8).toString("hex"),
    ...(method.startsWith("client_secret") ? { client_secret: randomBytes(16).toString("hex") } : {}),
    redirect_uris: [],
    response_types: grant_types.includes("authorization_code") ? ["code"] : [],
    ...wanted,
    grant_types,
    token_endpoint_auth_method: method,
  };
  await provider.Client.validate(metadata);
  await provider.Client.adapter.upsert(metadata.client_id, metadata);
  // oidc-provider would refuse scopes that it does not list; here they limit what the client is ever granted.
  if (scope !== undefined) state.clientScopes.set(metadata.client_id, scope.split(" "));
  return { scope, ...metadata };
}

function registerApi({ base, token_format }) {
  state.apis.set(base, token_format);
  return {};
}

function registerLaunch({ fhirUser, scope_limit, ...context }) {
  const launch = randomBytes(8).toString("hex");
  state.launches.set(launch, { fhirUser, scope_limit, context });
  return { launch };
}

function changeSettings(changes) {
  const unknown = Object.keys(changes).filter((name) => !(name in SETTINGS));
  if (unknown.length) throw new TypeError(`no such setting: ${unknown.join(", ")}`);
  return Object.assign(state.settings, changes);
}

const controls = (provider) => ({
  "POST /test/clients": (metadata) => registerClient(provider, metadata),
  "POST /test/apis": registerApi,
  "POST /test/launches": registerLaunch,
  "POST /test/patients": (patients) => (state.patients = patients),
  "POST /test/settings": changeSettings,
  "POST /test/expire": () => ({ generation: (state.generation += 1) }),
  "POST /test/reset": () => reset() ?? {},
  "GET /test/requests": () => state.log,
});

async function control(routes, request, response) {
  const route = routes[`${request.method} ${request.url}`] ?? (() => Promise.reject(new TypeError("no such control")));
  const body = await textOf(request);
  const [status, answer] = await Promise.resolve()
    .then(() => route(body && JSON.parse(body)))
    .then((value) => [200, value], (error) => [400, { error: error.error_description ?? String(error) }]);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
}

reset();
const { values: options } = parseArgs({ options: { fhir: { type: "string" }, port: { type: "string", default: "0" } } });
const server = createServer();
server.listen(Number(options.port), "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;
const base = `${issuer}/fhir`;
registerApi({ base, token_format: "jwt" });
const { provider, publicKeys } = await authorizationServer(state, issuer, base);
const routes = controls(provider);
const authorize = provider.callback();
const fhir = options.fhir && fhirServer(state, { base, upstream: options.fhir, issuer, publicKeys });
server.on("request", (request, response) => {
  const serve = request.url.startsWith("/test/")
    ? (...pair) => control(routes, ...pair)
    : fhir && /^\/fhir([/?]|$)/.test(request.url) ? fhir : authorize;
  Promise.resolve(serve(request, response)).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
process.stdin.resume().on("end", () => process.exit());
console.log(`EHR at ${issuer}`);
