// Shapes: what a decoded value must look like, put together like the tables of docs/spec. A shape is a function of a
// step and a value; it returns what was read, or refuses at that step.

import { decode, encode } from "./msgpack.js";
import { need } from "./refusal.js";

const COUNT_END = 2 ** 53;
const SECONDS_END = 2 ** 40;

export const anything = (at, item) => item;

export function bytes(at, item) {
  need(at, item instanceof Uint8Array);
  return item;
}

export const sized = (size) => (at, item) => {
  need(at, bytes(at, item).length === size);
  return item;
};

export const upTo = (size) => (at, item) => {
  need(at, bytes(at, item).length <= size);
  return item;
};

export const digest = sized(32);

export function text(at, item) {
  need(at, typeof item === "string");
  return item;
}

export function flag(at, item) {
  need(at, typeof item === "boolean");
  return item;
}

/** An integer from `least` up to, not including, `end`. */
export const number = (end, least = 0) => (at, item) => {
  need(at, typeof item === "bigint" && item >= BigInt(least) && item < BigInt(end));
  return Number(item);
};

export const count = number(COUNT_END);
export const seconds = number(SECONDS_END);
export const signedNumber = number(COUNT_END, -COUNT_END + 1);

/** Any integer of 64 bits, as a BigInt. */
export function wide(at, item) {
  need(at, typeof item === "bigint");
  return item;
}

export const list = (shape, sizeMax = Infinity) => (at, item) => {
  need(at, Array.isArray(item) && item.length <= sizeMax);
  return item.map((each) => shape(at, each));
};

/** An array of exactly these fields, in this order, as an object with their names. */
export const struct = (fields) => {
  const shapes = Object.entries(fields);
  return (at, item) => {
    need(at, Array.isArray(item) && item.length === shapes.length);
    return Object.fromEntries(shapes.map(([name, shape], place) => [name, shape(at, item[place])]));
  };
};

/** A struct that also keeps its own encoding, since something is signed or hashed over it. */
export const kept = (shape) => (at, item) => ({ ...shape(at, item), encoding: encode(item) });

/** What is inside a byte string: one canonical value of a shape. */
export function inside(at, shape, data) {
  const value = decode(data);
  need(at, value !== undefined);
  return shape(at, value);
}
