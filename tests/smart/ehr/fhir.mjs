// The EHR's FHIR base: a real FHIR server behind a check of tokens, scopes and patients.
import { createLocalJWKSet, jwtVerify } from "jose";
import { ASSERTION_ALGORITHMS, CLIENT_AUTHENTICATION, ROUTES, SERVICE_SCOPES, textOf } from "./authorization.mjs";
import { resourceScope } from "./scopes.mjs";

const CAPABILITIES = [
  "launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
  "sso-openid-connect", "context-banner", "context-style", "context-ehr-patient", "context-ehr-encounter",
  "context-standalone-patient", "permission-offline", "permission-online", "permission-patient", "permission-user",
  "permission-v1", "permission-v2",
];
const LEVELS = ["patient", "user", "system"];
const V1_SCOPES = LEVELS.flatMap((level) => [`${level}/*.read`, `${level}/*.write`]);
const V2_SCOPES = LEVELS.map((level) => `${level}/*.cruds`);
const OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
const SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service";

// Elements that say whose a resource is, and types that are nobody's.
const OWNERS = ["subject", "patient", "beneficiary", "individual", "for"];
const SHARED = new Set([
  "CodeSystem", "HealthcareService", "Location", "Medication", "Organization", "PlanDefinition", "Practitioner",
  "PractitionerRole", "Questionnaire", "StructureDefinition", "ValueSet",
]);
const PATIENT_PARAMETERS = ["patient", "subject", "patient:Patient", "subject:Patient"];
const REQUEST_HEADERS = [
  "accept", "cache-control", "content-type", "if-match", "if-modified-since", "if-none-exist", "if-none-match",
  "prefer",
];
const KEPT_FROM_RESPONSE = ["content-type", "content-location", "etag", "last-modified", "location", "retry-after"];

class Refusal extends Error {
  constructor(status, code, reason, headers = {}) {
    super(reason);
    this.status = status;
    this.headers = headers;
    this.outcome = { resourceType: "OperationOutcome", issue: [{ severity: "error", code, diagnostics: reason }] };
  }
}

export function smartConfiguration({ advertise_pkce, only_v1_scopes, relative_urls }, issuer) {
  // Absolute paths mean the same whether read from the FHIR base or from this document's own address.
  const at = (path) => (relative_urls ? path : `${issuer}${path}`);
  const isSpoken = (capability) => capability !== "permission-v2" || !only_v1_scopes;
  return {
    issuer,
    jwks_uri: at(ROUTES.jwks),
    authorization_endpoint: at(ROUTES.authorization),
    token_endpoint: at(ROUTES.token),
    revocation_endpoint: at(ROUTES.revocation),
    grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
    token_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION.filter((method) => method !== "none"),
    token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    response_types_supported: ["code"],
    scopes_supported: [...SERVICE_SCOPES, ...V1_SCOPES, ...(only_v1_scopes ? [] : V2_SCOPES)],
    ...(advertise_pkce ? { code_challenge_methods_supported: ["S256"] } : {}),
    capabilities: CAPABILITIES.filter(isSpoken),
  };
}

// Handles requests under `base`, whose path is /fhir; `upstream` is the base of the real server.
export function fhirServer(state, { base, upstream, issuer, publicKeys }) {
  const keys = createLocalJWKSet(publicKeys);
  const pagesOf = new Map();

  const translated = (text, from, to) =>
    text.replaceAll(from, to).replaceAll(encodeURIComponent(from), encodeURIComponent(to));
  // The server behind does not know the EHR's address as its own, so that what points there is made relative.
  const inward = (text) => text.replaceAll(`${base}/`, "").replaceAll(encodeURIComponent(`${base}/`), "");
  const ownReference = new RegExp(`("reference"\\s*:\\s*")${base.replaceAll(".", "\\.")}/`, "g");
  const inwardBody = (text) => translated(text.replace(ownReference, "$1"), base, upstream);
  const outward = (text) => translated(text, upstream, base);

  async function stored(reference) {
    // HAPI keeps its metadata for a while, with the address by which it was asked first.
    const headers = { accept: "application/fhir+json", "cache-control": "no-cache" };
    const answer = await fetch(`${upstream}/${reference}`, { headers });
    return answer.ok ? answer.json() : null;
  }

  // {level, patient, scopes, user} of a request. Refuses with 401.
  async function bearer(authorization) {
    const realm = `Bearer realm="${base}"`;
    const refuse = (reason, challenge) => {
      throw new Refusal(401, "login", reason, { "www-authenticate": challenge });
    };
    const [scheme, token] = (authorization ?? "").split(" ");
    if (scheme.toLowerCase() !== "bearer" || !token) refuse("no access token", realm);
    const claims = await jwtVerify(token, keys, { issuer, audience: base }).then(
      ({ payload }) => payload,
      (error) => refuse(error.message, `${realm}, error="invalid_token"`),
    );
    if (claims.generation < state.generation) refuse("the access token expired", `${realm}, error="invalid_token"`);
    const scopes = (claims.scope ?? "").split(" ");
    return {
      patient: claims.patient,
      scopes: scopes.map(resourceScope).filter(Boolean),
      user: scopes.includes("fhirUser") ? claims.fhirUser : undefined,
    };
  }

  const relative = (reference) =>
    reference.replace(`${base}/`, "").replace(`${upstream}/`, "").replace(/\/_history\/.*/, "");
  const names = (reference, patient) => [patient, `Patient/${patient}`].includes(relative(reference));

  // Whether a resource is about this patient. `siblings` are the fullUrls of its transaction, each checked by itself.
  async function isAbout(resource, patient, siblings = new Set()) {
    if (resource?.resourceType === "Patient") return resource.id === patient;
    if (resource?.resourceType === "Provenance") {
      const targets = (resource.target ?? []).map(({ reference }) => reference);
      const fits = targets.map((one) => siblings.has(one) || isStoredAbout(relative(one), patient));
      return (await Promise.all(fits)).every(Boolean);
    }
    const owner = OWNERS.map((element) => resource?.[element]?.reference).find(Boolean);
    return owner ? names(owner, patient) : SHARED.has(resource?.resourceType);
  }

  // What is not there is nobody's: the real server then says so.
  async function isStoredAbout(reference, patient) {
    if (reference.startsWith("Patient/")) return names(reference, patient);
    const resource = await stored(reference);
    return resource === null || isAbout(resource, patient);
  }

  async function isSearchAbout(type, search, patient) {
    if (SHARED.has(type)) return true;
    if (type === "Patient") return search.get("_id") === patient;
    if (type === "Provenance" && search.has("target")) return isStoredAbout(relative(search.get("target")), patient);
    const named = PATIENT_PARAMETERS.flatMap((name) => search.getAll(name));
    return named.length > 0 && named.every((value) => names(value, patient));
  }

  // What one request (or entry of a Bundle) does: {type, reference?, permissions, reaches}; `reaches` tells, for a
  // patient, whether it stays with that patient.
  function act(method, target, { resource, isConditional = false, form = "", siblings } = {}) {
    const { pathname, search } = new URL(relative(target), "http://any/");
    const [type = "", id, ...rest] = pathname.slice(1).split("/");
    const query = new URLSearchParams(id === "_search" ? form : search);
    const reference = `${type}/${id}`;
    const never = () => false;
    if ([type, id, ...rest].some((segment) => segment?.startsWith("$"))) {
      return { type, permissions: "cruds", reaches: never };
    }
    if (!type) {
      const page = query.get("_getpages");
      const reaches = (patient) => pagesOf.get(page) === patient;
      return { type, permissions: "s", reaches, isPage: pagesOf.has(page) };
    }
    if (method === "GET" && id && id !== "_search" && id !== "_history") {
      return { type, reference, permissions: "r", reaches: (patient) => isStoredAbout(reference, patient) };
    }
    if (method === "GET" || id === "_search") {
      return { type, permissions: "s", reaches: (patient) => isSearchAbout(type, query, patient) };
    }
    if (method === "POST") {
      const permissions = isConditional ? "cs" : "c";
      return { type, permissions, reaches: (patient) => isAbout(resource, patient, siblings) };
    }
    if (method === "PUT") {
      const reaches = async (patient) =>
        (await isAbout(resource, patient, siblings)) && (!id || isStoredAbout(reference, patient));
      return { type, permissions: id ? "u" : "us", reaches };
    }
    const reaches = (patient) => (id ? isStoredAbout(reference, patient) : isSearchAbout(type, query, patient));
    return { type, permissions: `${method === "DELETE" ? "d" : "u"}${id ? "" : "s"}`, reaches };
  }

  function actsOf(request, path, body) {
    if (request.method === "POST" && (path === "" || path === "/")) {
      const bundle = parsed(body);
      if (bundle.entry?.some(({ request: asked }) => !asked?.method || asked.url === undefined)) {
        throw new Refusal(400, "required", "an entry without request");
      }
      const siblings = new Set((bundle.entry ?? []).map(({ fullUrl }) => fullUrl).filter(Boolean));
      return (bundle.entry ?? []).map((entry) =>
        act(entry.request.method, entry.request.url, {
          resource: entry.resource, isConditional: entry.request.ifNoneExist !== undefined, siblings,
        }),
      );
    }
    const isConditional = request.headers["if-none-exist"] !== undefined;
    const isForm = path.split("?")[0].endsWith("/_search");
    const resource = !isForm && ["POST", "PUT"].includes(request.method) ? parsed(body) : undefined;
    return [act(request.method, path.replace(/^\//, ""), { resource, isConditional, form: isForm ? body : "" })];
  }

  function parsed(body) {
    try {
      return JSON.parse(body);
    } catch {
      throw new Refusal(400, "structure", "the body is no JSON");
    }
  }

  // Refuses with 403 what the scopes of a token do not allow.
  async function permit({ type, reference, permissions, reaches, isPage }, { patient, scopes, user }) {
    const covers = (candidates) =>
      [...permissions].every((permission) =>
        candidates.some((scope) => [type, "*"].includes(scope.type) && scope.permissions.includes(permission)),
      );
    const broad = scopes.filter(({ level }) => level !== "patient");
    if (isPage ? broad.length : covers(broad)) return;
    if (reference && user && relative(user) === reference && permissions === "r") return;
    const isCovered = isPage || covers(scopes);
    if (isCovered && patient && (await reaches(patient))) return;
    const reason = isCovered ? `${type} of another patient` : `no scope for ${type || "the whole server"}.${permissions}`;
    throw new Refusal(403, "forbidden", reason, {
      "www-authenticate": `Bearer realm="${base}", error="insufficient_scope"`,
    });
  }

  // The answer's text for this token: remembers whose its further pages are, and leaves out what was included with the
  // matches though no scope covers it.
  async function curtailed(text, token) {
    for (const [, page] of text.matchAll(/_getpages=([\w-]+)/g)) pagesOf.set(page, token.patient);
    const bundle = text.includes('"searchset"') ? JSON.parse(text) : {};
    if (bundle.type !== "searchset") return text;
    const keep = await Promise.all((bundle.entry ?? []).map(({ search, resource }) =>
      search?.mode !== "include" ||
      permit(
        { type: resource.resourceType, permissions: "r", reaches: (patient) => isAbout(resource, patient) }, token,
      ).then(() => true, () => false),
    ));
    if (keep.every(Boolean)) return text;
    return JSON.stringify({ ...bundle, entry: bundle.entry.filter((_entry, index) => keep[index]) });
  }

  async function capabilities() {
    const statement = await stored("metadata");
    const endpoint = (name, route) => ({ url: name, valueUri: `${issuer}${route}` });
    const { authorization, token, revocation } = ROUTES;
    statement.rest[0].security = {
      extension: [{
        url: OAUTH_URIS,
        extension: [endpoint("authorize", authorization), endpoint("token", token), endpoint("revoke", revocation)],
      }],
      service: [{ coding: [{ system: SECURITY_SERVICE, code: "SMART-on-FHIR" }] }],
    };
    const headers = { "content-type": "application/fhir+json" };
    return { status: 200, headers, text: outward(JSON.stringify(statement)) };
  }

  async function forwarded(request, path, body, token) {
    const kept = REQUEST_HEADERS.filter((name) => request.headers[name] !== undefined);
    const headers = Object.fromEntries(kept.map((name) => [name, inward(request.headers[name])]));
    if (!headers.accept || headers.accept === "*/*") headers.accept = "application/fhir+json";
    const answer = await fetch(`${upstream}${inward(path)}`, {
      method: request.method, headers, redirect: "manual", body: body ? inwardBody(body) : undefined,
    });
    const told = KEPT_FROM_RESPONSE.filter((name) => answer.headers.has(name));
    return {
      status: answer.status,
      headers: Object.fromEntries(told.map((name) => [name, outward(answer.headers.get(name))])),
      text: await curtailed(outward(await answer.text()), token),
    };
  }

  async function answer(request, path, body) {
    const { no_smart_configuration, refuse_fhir } = state.settings;
    if (path === "/.well-known/smart-configuration") {
      if (no_smart_configuration) throw new Refusal(404, "not-found", "no SMART configuration");
      const text = JSON.stringify(smartConfiguration(state.settings, issuer));
      return { status: 200, headers: { "content-type": "application/json" }, text };
    }
    if (path.split("?")[0] === "/metadata") return capabilities();
    if (refuse_fhir) throw new Refusal(refuse_fhir, "transient", "by setting", refusalHeaders(refuse_fhir));
    const token = await bearer(request.headers.authorization);
    for (const one of actsOf(request, path, body)) await permit(one, token);
    return forwarded(request, path, body, token);
  }

  function refusalHeaders(status) {
    if (status === 503) return { "retry-after": "1" };
    const error = status === 401 ? "invalid_token" : "insufficient_scope";
    return { "www-authenticate": `Bearer realm="${base}", error="${error}"` };
  }

  return async function serve(request, response) {
    const path = request.url.slice("/fhir".length);
    const body = await textOf(request);
    const { status, headers, text } = await answer(request, path, body).catch((problem) => {
      if (!(problem instanceof Refusal)) throw problem;
      const { outcome, ...refusal } = problem;
      const type = { "content-type": "application/fhir+json" };
      return { status: refusal.status, headers: { ...type, ...refusal.headers }, text: JSON.stringify(outcome) };
    });
    state.log.push({ endpoint: "fhir", method: request.method, path, status });
    response.writeHead(status, headers).end(text);
  };
}
