// npm's fhir-kit-client as a backend app. Standard input is the order, standard output what it saw: see ordering.py.
import { readFileSync } from "node:fs";
import { Client } from "fhir-kit-client";

const order = JSON.parse(readFileSync(0, "utf8"));
const { base, client_id, client_secret, scope, canonical, patient, page_size, draft, named_draft, response } = order;
const RESPONSE = "QuestionnaireResponse";

async function accessToken(tokenUrl) {
  const credentials = Buffer.from(`${client_id}:${client_secret}`).toString("base64");
  const answer = await fetch(tokenUrl, {
    method: "POST",
    headers: { authorization: `Basic ${credentials}` },
    body: new URLSearchParams({ grant_type: "client_credentials", scope, resource: base }),
  });
  if (!answer.ok) throw new Error(`no token: ${await answer.text()}`);
  return (await answer.json()).access_token;
}

async function refused(action) {
  try {
    await action();
  } catch (error) {
    const { status, data } = error.response;
    return { type: error.constructor.name, status, text: data.issue[0].diagnostics };
  }
  throw new Error("was not refused");
}

// Replaces what was `read`, unless it has changed since.
function update(read, body) {
  const { id } = read;
  const headers = { "If-Match": Client.httpFor(read).response.headers.get("etag") };
  return client.update({ resourceType: RESPONSE, id, body: { ...body, id }, options: { headers } });
}

async function pagesOf(bundle) {
  const pages = [];
  for (let page = bundle; page; page = await client.nextPage({ bundle: page })) pages.push(page);
  return pages;
}

const resources = (bundle) => (bundle.entry ?? []).map(({ resource }) => resource);
const ids = (found, type) => found.filter(({ resourceType }) => resourceType === type).map(({ id }) => id);
const stateOf = ({ id, status, meta }) => ({ id, status, version: meta.versionId });
const canonicals = (bundle) => resources(bundle).map(({ url, version }) => `${url}|${version}`);
const questionnaires = async (searchParams) =>
  canonicals(await client.search({ resourceType: "Questionnaire", searchParams }));

const anonymous = new Client({ baseUrl: base });
const { tokenUrl } = await anonymous.smartAuthMetadata();
const client = new Client({ baseUrl: base, bearerToken: await accessToken(tokenUrl) });
const [url, version] = canonical.split("|");
const seen = {};
seen.questionnaires = {
  canonical: await questionnaires({ url: canonical }),
  version: await questionnaires({ url, version }),
};

const outcome = await client.operation({ name: "$validate", resourceType: RESPONSE, input: response });
seen.severities = outcome.issue.map(({ severity }) => severity);

const created = await client.create({ resourceType: RESPONSE, body: draft });
const changed = await update(created, draft);
seen.draft = stateOf(created);
seen.stale = await refused(() => update(created, { ...draft, status: "completed" }));
seen.completed = stateOf(await update(changed, { ...draft, status: "completed" }));

const byIdentifier = ({ identifier }) => ({ identifier: `${identifier.system}|${identifier.value}` });
const save = () =>
  client.update({ resourceType: RESPONSE, searchParams: byIdentifier(named_draft), body: named_draft });
seen.saved = [stateOf(await save()), stateOf(await save())];

const once = { headers: { "If-None-Exist": new URLSearchParams(byIdentifier(response)).toString() } };
const submit = () => client.create({ resourceType: RESPONSE, body: response, options: once });
seen.submitted = [(await submit()).id, (await submit()).id];

seen.read = await client.read({ resourceType: RESPONSE, id: seen.submitted[0] });
const mine = { resourceType: RESPONSE, searchParams: { patient } };
seen.responses = ids(resources(await client.search(mine)), RESPONSE);
const search = { patient, _count: page_size, _revinclude: "Provenance:target" };
const pages = await pagesOf(await client.search({ resourceType: "Observation", searchParams: search }));
const found = pages.flatMap(resources);
seen.observations = { pages: pages.length, ids: ids(found, "Observation"), provenances: ids(found, "Provenance") };
const asForm = { postSearch: true };
const conditions = await client.search({ resourceType: "Condition", searchParams: { patient }, options: asForm });
seen.conditions = ids(resources(conditions), "Condition");

seen.anonymous = await refused(() => anonymous.search(mine));
seen.forbidden = await refused(() => client.search({ resourceType: "AuditEvent" }));
console.log(JSON.stringify(seen));
