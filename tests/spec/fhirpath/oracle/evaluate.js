// Evaluates FHIRPath with npm's fhirpath. Standard input: [{"resource", "expressions": [...]}, ...]; standard output:
// for each, a list of results: the items as JSON, or {"error": message}.
const fs = require("fs");
const fhirpath = require("fhirpath");
const r4 = require("fhirpath/fhir-context/r4");

function written(item) {
  const isSystemValue = item !== null && typeof item === "object" && item.constructor.name !== "Object";
  return isSystemValue ? item.toString() : item;
}

function evaluate(resource, expression) {
  try {
    return fhirpath.evaluate(resource, expression, { resource, context: resource }, r4).map(written);
  } catch (error) {
    return { error: String(error.message ?? error) };
  }
}

const cases = JSON.parse(fs.readFileSync(0, "utf8"));
const results = cases.map(({ resource, expressions }) => expressions.map((text) => evaluate(resource, text)));
process.stdout.write(JSON.stringify(results));
