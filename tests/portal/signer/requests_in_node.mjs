// Reads requests as the page does, in Node: rows on standard input, the folder of the page as the argument.
// Says of each [`fits`, what the page would say], or [the kind of error with which it would refuse it, nothing].

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const load = (name) => import(`${pathToFileURL(process.argv[2])}/${name}.js`);
const [{ readRequest }, { checkItem, linesOf }] = await Promise.all(["requests", "kinds"].map(load));
const { chain, now_s: nowS, rows } = JSON.parse(readFileSync(0, "utf8"));

const said = rows.map((json) => {
  try {
    const request = readRequest(json, { chain, nowS });
    for (const item of request.items) checkItem(request, item);
    return ["fits", request.items.flatMap((item) => linesOf(request, item).map((line) => line.words))];
  } catch (error) {
    return [error.constructor.name, []];
  }
});
console.log(JSON.stringify(said));
