// Values and errors on their way between a library in JavaScript and its callers, by the plan that is made of the
// interfaces: numbers of 32 bits without a sign are made right, those of 64 bits refused where they would be rounded.
import { located } from "./base.js";
import { settled } from "./promise.js";

const SIZE = 2 ** 32;

/** What an engine hands over, as the user should see it. */
function received(form, value) {
  if (form === "u32") return value >>> 0;
  if (form === "u64" || form === "s64") {
    if (Number.isSafeInteger(value) && (form === "s64" || value >= 0)) return value;
    throw new RangeError(`${form} is received only up to 2^53 - 1, beyond which numbers of JavaScript are rounded`);
  }
  return inside(form, value, received);
}

/** What the user hands over, as an engine should see it. */
function sent(form, value) {
  if (form === "u32") {
    if (Number.isInteger(value) && value >= 0 && value < SIZE) return value | 0;
    throw new RangeError(`${shown(value)} is no u32`);
  }
  if (form === "u64" || form === "s64") {
    const number = Number(value);
    if (Number.isSafeInteger(number) && (form === "s64" || number >= 0)) return number;
    throw new RangeError(`${shown(value)} is no ${form} of at most 2^53 - 1`);
  }
  return inside(form, value, sent);
}

const shown = (value) => (typeof value === "bigint" ? `${value}n` : typeof value === "object" ? "an object" : `${value}`);

/** The same done to each part of a value, by its form. What is no such value is left for the engine to refuse. */
function inside(form, value, one) {
  if (!form || typeof value !== "object" || value === null) {
    return form?.[0] === "option" && value != null ? one(form[1][0], value) : value;
  }
  const [kind, parts] = form;
  switch (kind) {
    case "option":
      return one(parts[0], value);
    case "list":
      return Array.isArray(value) ? value.map((each) => one(parts[0], each)) : value;
    case "tuple":
      return value.map((each, at) => one(parts[at], each));
    case "record":
      return { ...value, ...Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, one(part, value[name])])) };
    case "variant":
      return value.tag in parts ? { ...value, val: one(parts[value.tag], value.val) } : value;
    case "map":
      return new Map([...value].map(([key, each]) => [one(parts[0], key), one(parts[1], each)]));
  }
  return value;
}

const all = (forms, values, one) => values.map((value, at) => one(forms[at], value));

// Nobody calls a guest that is at work, so that while one call of it lasts all others are its own.
let working = false;

/** Does what a caller asked for; its errors name the user's lines. */
function served(plan, given, call) {
  if (working) return call(given);
  working = true;
  try {
    return sent(plan.result, settled(call(all(plan.given, given, received))));
  } catch (error) {
    if (error instanceof Error) error.stack = located(error.stack);
    else if (plan.thrown) throw sent(plan.thrown[0], error);
    throw error;
  } finally {
    working = false;
  }
}

/** Asks the host, which answers or fails as the plan has it. */
function asked(plan, given, call) {
  try {
    return received(plan.result, call(all(plan.given, given, sent)));
  } catch (error) {
    if (plan.thrown && !(error instanceof Error)) throw received(plan.thrown[0], error);
    throw error;
  }
}

/** A class of which `through` makes, calls and asks in place of whoever does so. */
function surrounded(plan, found, through) {
  function made(...given) {
    return plan.constructor.given ? through(plan.constructor, given, (words) => new found(...words)) : new found(...given);
  }
  Object.defineProperty(made, "name", { value: found.name });
  made.prototype = found.prototype;
  for (const [name, one] of Object.entries(plan.statics)) {
    made[name] = (...given) => through(one, given, (words) => found[name](...words));
  }
  for (const [name, one] of Object.entries(plan.methods)) {
    const method = found.prototype[name];
    if (method === undefined) throw new Error(`class \`${found.name}\` has no method \`${name}\``);
    const value = function (...given) {
      return through(one, given, (words) => method.apply(this, words));
    };
    Object.defineProperty(found.prototype, name, { value, configurable: true, writable: true });
  }
  return made;
}

/** Functions and classes, each in its surroundings. */
function each(plan, found, through, where) {
  const made = {};
  for (const [name, one] of Object.entries(plan)) {
    const own = found[name];
    if (own === undefined) throw new Error(`${where} has no \`${name}\``);
    if (one.interface) made[name] = each(one.interface, own, through, `\`${name}\` of ${where}`);
    else if (one.methods) made[name] = surrounded(one, own, through);
    else made[name] = (...given) => through(one, given, (words) => own.apply(found, words));
  }
  return made;
}

/** What a module exports, for the callers of the component. */
export const exported = (plan, module, file) => each(plan, module, served, file);

/** What the host has, for the user. */
export const imported = (plan, module, name) => ({ ...module, ...each(plan, module, asked, `\`${name}\``) });
