// npm's fhirpath on a page's facts and rules. The first line of standard input is {facts, rules, cases}: facts and rules
// as [name, expression], cases as {resource, authoredDate, variables}. It answers a
// line with the names of the rules that are true, for each case. Every further line is a number of repetitions over all
// cases; it answers the nanoseconds they took.
const fhirpath = require("fhirpath");
const r4 = require("fhirpath/fhir-context/r4");
const readline = require("readline");

const OPTIONS = { resolveInternalTypes: false };
const compiled = (expressions) => expressions.map(([name, text]) => [name, fhirpath.compile(text, r4, OPTIONS)]);

let facts, rules, cases;

function fired({ resource, variables }) {
  const known = { ...variables, resource };
  for (const [name, expression] of facts) {
    known[name] = expression(resource, known);
  }
  return rules.filter(([, expression]) => expression(resource, known)[0] === true).map(([name]) => name);
}

function prepare(setup) {
  facts = compiled(setup.facts);
  rules = compiled(setup.rules);
  cases = setup.cases.map(({ resource, authoredDate, variables }) => {
    const [date] = fhirpath.evaluate({}, `@${authoredDate}`, {}, r4, OPTIONS);
    return { resource, variables: { ...variables, authoredDate: date } };
  });
  return cases.map(fired);
}

function measure(repetitions) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < repetitions; i++) {
    cases.forEach(fired);
  }
  return Number(process.hrtime.bigint() - start);
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(typeof asked === "number" ? measure(asked) : prepare(asked)));
});
