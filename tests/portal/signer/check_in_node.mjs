// Runs the comparison in Node: vectors on standard input, the folder of the page as the argument.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { check } from "./check.js";

const load = (name) => import(`${pathToFileURL(process.argv[2])}/${name}.js`);
console.log(JSON.stringify(await check(JSON.parse(readFileSync(0, "utf8")), load)));
