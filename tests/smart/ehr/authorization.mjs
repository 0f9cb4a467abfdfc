// The EHR's authorization server: npm's oidc-provider, with SMART's scopes, launches and token response around it.
import { createHash, randomBytes } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from "jose";
import Provider, { errors } from "oidc-provider";
import MemoryAdapter from "oidc-provider/lib/adapters/memory_adapter.js";
import { consentPage, errorPage } from "./pages.mjs";
import { resourceScope } from "./scopes.mjs";

export const ROUTES = {
  authorization: "/authorize", token: "/token", revocation: "/revoke", introspection: "/introspect", jwks: "/jwks",
};
export const CLIENT_AUTHENTICATION = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
export const ASSERTION_ALGORITHMS = ["RS384", "ES384"];
const IDENTITY_SCOPES = ["openid", "fhirUser", "profile", "offline_access"];
export const SERVICE_SCOPES = [...IDENTITY_SCOPES, "online_access", "launch", "launch/patient", "launch/encounter"];
const ASSERTION_SECONDS = 300;

// Resolves to {provider, publicKeys}. `state` is what the control API of server.mjs reads and writes. Tokens are for
// `fhirBase`, unless the request names another of state.apis (`aud` of SMART, or `resource` of RFC 8707).
export async function authorizationServer(state, issuer, fhirBase) {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const key = { ...(await exportJWK(privateKey)), alg: "RS256", use: "sig", kid: randomBytes(8).toString("hex") };
  const { kty, n, e, alg, use, kid } = key;
  const fhirUsers = new Map();
  const store = new Map();

  // Of these scopes, the ones that this EHR knows and gives to this client; `limit` is a launch's own list of them.
  function granted(scopes, { client, isBackend = false, limit }) {
    const registered = state.clientScopes.get(client.clientId);
    return scopes.filter((text) => {
      const scope = resourceScope(text);
      const isKnown = scope ? (scope.level === "system") === isBackend : !isBackend && SERVICE_SCOPES.includes(text);
      const isSpoken = scope?.version === 1 || !scope || !state.settings.only_v1_scopes;
      return isKnown && isSpoken && (limit?.includes(text) ?? true) && (registered?.includes(text) ?? true);
    });
  }

  function scopesInPlay({ params, entities }) {
    const text = params.scope ?? entities.AuthorizationCode?.scope ?? entities.RefreshToken?.scope;
    return text?.split(" ") ?? [];
  }

  function describeFhir(ctx, resource, client) {
    const accessTokenFormat = state.apis.get(resource);
    if (accessTokenFormat === undefined) throw new errors.InvalidTarget();
    const isBackend = ctx.oidc.params.grant_type === "client_credentials";
    const scopes = granted(scopesInPlay(ctx.oidc), { client, isBackend });
    if (isBackend && !scopes.length) throw new errors.InvalidScope("no scope of a backend service was asked for");
    return { scope: scopes.join(" "), audience: resource, accessTokenFormat, jwt: { sign: { alg: "RS256" } } };
  }

  function checkAudience(_ctx, aud) {
    if (!state.apis.has(aud)) throw new errors.InvalidRequest(`aud must be ${[...state.apis.keys()].join(" or ")}`);
  }

  function checkLaunch(ctx, launch) {
    const isAsked = scopesInPlay(ctx.oidc).includes("launch");
    if (launch === undefined && isAsked) throw new errors.InvalidRequest("scope launch needs the parameter launch");
    if (launch !== undefined && !isAsked) throw new errors.InvalidScope("the parameter launch needs scope launch");
    if (launch !== undefined && !state.launches.has(launch)) throw new errors.InvalidRequest("launch is not known");
  }

  // What SMART demands of an assertion beyond what oidc-provider checks.
  function checkAssertion(ctx, claims, header) {
    const refuse = (reason) => {
      throw new errors.InvalidClientAuth(reason);
    };
    if (header.typ !== "JWT") refuse("typ of the client_assertion must be JWT");
    if (!header.kid) refuse("kid of the client_assertion is missing");
    if (claims.sub !== claims.iss) refuse("iss and sub of the client_assertion must be the client_id");
    if (claims.aud !== ctx.oidc.urlFor("token")) refuse("aud of the client_assertion must be the token endpoint");
    if (claims.exp > Date.now() / 1000 + ASSERTION_SECONDS) refuse("the client_assertion may live five minutes at most");
  }

  const provider = new Provider(issuer, {
    adapter: (model) => new MemoryAdapter(model, store),
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(32).toString("hex")] },
    routes: ROUTES,
    scopes: IDENTITY_SCOPES,
    claims: { openid: ["sub"], fhirUser: ["fhirUser"], profile: ["name", "fhirUser"] },
    conformIdTokenClaims: false,
    responseTypes: ["code"],
    pkce: { required: () => true },
    clientAuthMethods: CLIENT_AUTHENTICATION,
    enabledJWA: { clientAuthSigningAlgValues: ASSERTION_ALGORITHMS },
    assertJwtClientAuthClaimsAndHeader: checkAssertion,
    extraParams: { aud: checkAudience, launch: checkLaunch },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientAuthMethod !== "none" },
      resourceIndicators: {
        enabled: true,
        defaultResource: ({ oidc: { params } }) => (state.apis.has(params.aud) ? params.aud : fhirBase),
        useGrantedResource: () => true,
        getResourceServerInfo: describeFhir,
      },
    },
    issueRefreshToken: (_ctx, client, { scopes }) =>
      client.grantTypeAllowed("refresh_token") && (scopes.has("offline_access") || scopes.has("online_access")),
    rotateRefreshToken() {
      if (state.settings.refuse_refresh) throw new errors.InvalidGrant("refresh is refused");
      return true;
    },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: "Test User", fhirUser: fhirUsers.get(id) }),
    }),
    extraTokenClaims(_ctx, { accountId, grantId }) {
      const { patient, encounter } = state.contexts.get(grantId) ?? {};
      return { patient, encounter, fhirUser: fhirUsers.get(accountId), generation: state.generation };
    },
    // Not by oidc-provider's time to live, which cannot be zero: tests do not wait for a token to expire.
    formats: {
      customizers: {
        jwt: (_ctx, _token, { payload }) => {
          payload.exp = payload.iat + state.settings.access_token_seconds;
        },
      },
    },
    ttl: { AccessToken: 3600, ClientCredentials: 3600, Grant: 86400, IdToken: 3600, Interaction: 3600,
           RefreshToken: 86400, Session: 86400 },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    // oidc-provider lets nobody fetch from loopback; the keys of the clients of these tests are there.
    fetch: (url, { dispatcher: _guard, ...options }) => fetch(url, options),
    renderError(ctx, problem) {
      ctx.state.error = problem.error;
      ctx.type = "html";
      ctx.body = errorPage(problem);
    },
  });

  async function decide(params, client, answer) {
    if (answer.get("answer") !== "allow") return { error: "access_denied", error_description: "the user refused" };
    const requested = params.scope.split(" ");
    const launch = state.launches.get(params.launch);
    const allowed = granted(requested, { client, limit: launch?.scope_limit });
    const user = launch?.fhirUser ?? `${fhirBase}/Practitioner/test-ehr-user`;
    const accountId = createHash("sha256").update(user).digest("hex").slice(0, 16);
    fhirUsers.set(accountId, user);

    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    const refused = requested.filter((scope) => !allowed.includes(scope));
    grant.addOIDCScope(allowed.filter((scope) => IDENTITY_SCOPES.includes(scope)));
    grant.rejectOIDCScope(refused.filter((scope) => IDENTITY_SCOPES.includes(scope)));
    grant.addResourceScope(params.resource, allowed);
    grant.rejectResourceScope(params.resource, refused);
    const grantId = await grant.save();
    state.contexts.set(grantId, launch?.context ?? { patient: answer.get("patient") ?? undefined });
    return { login: { accountId }, consent: { grantId } };
  }

  async function interact(ctx, next) {
    if (!ctx.path.startsWith("/interaction/")) return next();
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    const client = await provider.Client.find(params.client_id);
    const isStandalone = params.launch === undefined && params.scope.split(" ").includes("launch/patient");
    const choices = isStandalone ? state.patients : [];
    const page = () => consentPage({ action: ctx.path, client, scope: params.scope, choices });
    ctx.type = "html";
    if (ctx.method === "GET") {
      ctx.body = page();
      return undefined;
    }
    const answer = new URLSearchParams(await textOf(ctx.req));
    if (isStandalone && answer.get("answer") === "allow" && !choices.some(({ id }) => id === answer.get("patient"))) {
      ctx.status = 400;
      ctx.body = page();
      return undefined;
    }
    const result = await decide(params, client, answer);
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
    ctx.status = 303;
    return undefined;
  }

  async function authorize(ctx, next) {
    if (ctx.path !== ROUTES.authorization) return next();
    const parameters = parametersOf(ctx.URL.searchParams);
    if (ctx.query.prompt !== "none") {
      // oidc-provider drops offline_access unless consent is prompted for; SMART's clients do not know of that.
      ctx.query = { ...ctx.query, prompt: "consent" };
      // Every launch signs in anew: when another user did before, oidc-provider's way out needs scripts.
      const cookies = ctx.get("cookie").split("; ");
      ctx.req.headers.cookie = cookies.filter((cookie) => !cookie.startsWith("_session")).join("; ");
      ctx.set("Set-Cookie", ["_session", "_session.sig"].map((name) => `${name}=; path=/; max-age=0`));
    }
    await next();
    const location = URL.parse(ctx.response.get("location"), issuer)?.searchParams;
    const error = ctx.state.error ?? location?.get("error") ?? undefined;
    state.log.push({ endpoint: "authorize", method: ctx.method, parameters, status: ctx.status, error });
    return undefined;
  }

  async function token(ctx, next) {
    if (ctx.path !== ROUTES.token) return next();
    await next();
    const parameters = { ...ctx.oidc?.body };
    const client = clientAuthentication(ctx.get("authorization"), parameters);
    state.log.push({
      endpoint: "token", method: ctx.method, parameters, ...client, status: ctx.status,
      error: ctx.state.error ?? ctx.body?.error,
    });
    if (ctx.status !== 200) return undefined;
    ctx.body = { ...ctx.body, ...tokenContext(ctx.oidc), expires_in: state.settings.access_token_seconds };
    return undefined;
  }

  // A refreshed token comes without its context: servers may repeat it, and clients must not need that.
  function tokenContext({ entities, params }) {
    if (state.settings.omit_context || params.grant_type !== "authorization_code") return {};
    const { patient, encounter, ...others } = state.contexts.get(entities.Grant.jti) ?? {};
    const scopes = entities.AuthorizationCode.scopes;
    const isLaunch = scopes.has("launch");
    return {
      ...(isLaunch || scopes.has("launch/patient") ? { patient } : {}),
      ...(isLaunch || scopes.has("launch/encounter") ? { encounter } : {}),
      ...(isLaunch ? others : {}),
    };
  }

  provider.on("server_error", (_ctx, error) => console.error(error));
  for (const middleware of [authorize, token, interact]) provider.use(middleware);
  return { provider, publicKeys: { keys: [{ kty, n, e, alg, use, kid }] } };
}

// {client_auth, client_id, assertion?}: how a client proved who it is, and who it says it is.
function clientAuthentication(authorization, parameters) {
  const assertion = parameters.client_assertion;
  if (assertion !== undefined) {
    const told = decodedAssertion(assertion);
    return { client_auth: "private_key_jwt", client_id: told.claims?.sub, assertion: told };
  }
  if (authorization) {
    const [id] = Buffer.from(authorization.split(" ")[1] ?? "", "base64").toString().split(":");
    return { client_auth: "client_secret_basic", client_id: decodeURIComponent(id) };
  }
  const client_auth = parameters.client_secret === undefined ? "none" : "client_secret_post";
  return { client_auth, client_id: parameters.client_id };
}

function decodedAssertion(assertion) {
  try {
    return { header: decodeProtectedHeader(assertion), claims: decodeJwt(assertion) };
  } catch (error) {
    return { unreadable: String(error) };
  }
}

// A parameter that was sent twice is a list.
export function parametersOf(search) {
  const values = [...new Set(search.keys())].map((name) => [name, search.getAll(name)]);
  return Object.fromEntries(values.map(([name, all]) => [name, all.length > 1 ? all : all[0]]));
}

export async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
