// JSON for trust files: every token in the one form in which it is written, so that no two texts mean one file.
// Integers are BigInt, objects are Map in the order of the file; a name that stands twice is refused.

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const TOKEN = /[ \t\r\n]*("(?:[^"\\]|\\.)*"|-?[0-9]+|[{}[\],:])/y;
const INTEGER = /^(0|-?[1-9][0-9]*)$/;
const DEPTH_MAX = 64;

/** The content of a file; undefined for bytes that are no such JSON. */
export function readJson(file) {
  try {
    const tokens = tokensOf(UTF8.decode(file));
    const content = valueOf(tokens, 0);
    return tokens.length === 0 ? content : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined; // no JSON of this form; not UTF-8
    throw error;
  }
}

/** The tokens of a text, the first one last, to be taken from the end. */
function tokensOf(text) {
  const whole = text.replace(/[ \t\r\n]+$/, "");
  const tokens = [];
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < whole.length; ) {
    const found = TOKEN.exec(whole);
    if (found === null) throw new SyntaxError("no token");
    tokens.push(found[1]);
  }
  return tokens.reverse();
}

function valueOf(tokens, depth) {
  if (depth > DEPTH_MAX) throw new SyntaxError("nested too deep");
  const token = tokens.pop();
  if (token === "{") return objectOf(tokens, depth);
  if (token === "[") return arrayOf(tokens, depth);
  if (token?.startsWith('"')) return textOf(token);
  if (token === undefined || !INTEGER.test(token)) throw new SyntaxError(`no value: ${token}`);
  return BigInt(token);
}

function textOf(token) {
  const text = token?.startsWith('"') ? JSON.parse(token) : undefined;
  if (JSON.stringify(text) !== token) throw new SyntaxError("no text in its one form");
  return text;
}

function objectOf(tokens, depth) {
  const content = new Map();
  if (tokens.at(-1) === "}") return tokens.pop() && content;
  for (;;) {
    const name = textOf(tokens.pop());
    if (tokens.pop() !== ":" || content.has(name)) throw new SyntaxError("no member, or twice");
    content.set(name, valueOf(tokens, depth + 1));
    if (endsAt(tokens, "}")) return content;
  }
}

function arrayOf(tokens, depth) {
  const content = [];
  if (tokens.at(-1) === "]") return tokens.pop() && content;
  for (;;) {
    content.push(valueOf(tokens, depth + 1));
    if (endsAt(tokens, "]")) return content;
  }
}

function endsAt(tokens, closing) {
  const token = tokens.pop();
  if (token !== "," && token !== closing) throw new SyntaxError("no comma and no end");
  return token === closing;
}
