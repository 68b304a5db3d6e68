// Runs comparisons in Node: an array of vectors on standard input, the folder of the page as the argument.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { check } from "./check.js";

const load = (name) => import(`${pathToFileURL(process.argv[2])}/${name}.js`);
const said = [];
for (const vectors of JSON.parse(readFileSync(0, "utf8"))) said.push(await check(vectors, load));
console.log(JSON.stringify(said));
