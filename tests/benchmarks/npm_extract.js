// npm's @aehrc/sdc-template-extract on one Questionnaire. The first line of standard input is {questionnaire, response};
// the answer is the number of resources extracted. Every further line is a number of repetitions; it answers the
// nanoseconds they took. Each repetition extracts from a copy, as the package's own documentation advises.
const { inAppExtract } = require("@aehrc/sdc-template-extract");
const readline = require("readline");

let setup;

async function extract() {
  const { extractResult } = await inAppExtract(structuredClone(setup.response), setup.questionnaire, null);
  return extractResult.extractedBundle.entry.length;
}

async function answer(line) {
  const question = JSON.parse(line);
  if (setup === undefined) {
    setup = question;
    return extract();
  }
  const start = process.hrtime.bigint();
  for (let i = 0; i < question; i++) {
    await extract();
  }
  return Number(process.hrtime.bigint() - start);
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(line)));
  }
})();
