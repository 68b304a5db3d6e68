// Validates pages: reads a JSON list of {"name", "html"} and writes a line for each fault that html-validate finds.
import { readFileSync } from "node:fs";
import { HtmlValidate, StaticConfigLoader } from "../apps/node_modules/html-validate/dist/esm/index.js";

const rules = {
  // Matters of style, or NHS.UK frontend's own markup: `type` of buttons, redundant roles, self-closing, white space.
  "no-trailing-whitespace": "off",
  "no-redundant-role": "off",
  "no-inline-style": "error",
  "void-style": "off",
  "prefer-native-element": "off", // a link that looks like a button is NHS.UK frontend's own

  "attribute-boolean-style": "off",
  "long-title": "off",
  "wcag/h30": "error",
};
const validator = new HtmlValidate(
  new StaticConfigLoader({ extends: ["html-validate:standard", "html-validate:a11y"], rules }),
);
for (const page of JSON.parse(readFileSync(0, "utf-8"))) {
  const report = await validator.validateString(page.html);
  for (const message of report.results.flatMap((each) => each.messages)) {
    console.log(`${page.name}: ${message.line}: ${message.ruleId}: ${message.message}`);
  }
}
