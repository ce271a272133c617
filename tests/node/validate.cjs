// Reads a list of [schema, [value, ...]] as JSON; writes for each value whether ajv takes it, as JSON.
const { readFileSync } = require("node:fs");
const Ajv2020 = require("ajv/dist/2020");
const addFormats = require("ajv-formats");

const ajv = new Ajv2020({ strict: false, validateFormats: true, formats: {}, logger: false });
addFormats(ajv, ["date", "uuid"]);
const verdicts = JSON.parse(readFileSync(0, "utf8")).map(([schema, values]) => {
  const validate = ajv.compile(schema);
  return values.map((value) => validate(value));
});
console.log(JSON.stringify(verdicts));
