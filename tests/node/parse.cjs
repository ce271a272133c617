// Reads the paths of AsyncAPI documents, one a line; writes what the official parser says of each, as JSON.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

(async () => {
  const parser = new Parser();
  const results = {};
  for (const path of readFileSync(0, "utf8").trim().split("\n")) {
    const { document, diagnostics } = await parser.parse(readFileSync(path, "utf8"));
    results[path] = {
      isParsed: document !== undefined,
      // 0 is an error, 1 a warning; 2 and 3 are hints.
      problems: diagnostics.filter((each) => each.severity < 2).map((each) => `${each.path.join(".")}: ${each.message}`),
    };
  }
  console.log(JSON.stringify(results));
})();
