// What values have to be: transpiled code takes numbers for booleans, and strings for bytes. Every check says what is
// wrong with a value, if anything is. Start reading at `Fault`.

/** What is wrong with a value: what was expected where. */
export class Fault {
  readonly #expected: string;
  readonly #got: unknown;
  #path = "";

  constructor(expected: string, got: unknown) {
    this.#expected = expected;
    this.#got = got;
  }

  /** The same, as part of something else. */
  at(step: string): this {
    this.#path = step + this.#path;
    return this;
  }

  /** The error about it; `of` is what the value was for. */
  error(of: string): TypeError {
    return new TypeError(
      `${of} \`${this.#path}\`: expected ${this.#expected}, got ${told(this.#got)}`,
    );
  }
}

/** The classes of resources of an instance, by where users find them. */
export type Classes = ReadonlyMap<
  string,
  abstract new (...args: never) => unknown
>;

/** What a function is called with. */
export type Args = readonly unknown[];

/** Finds what is wrong with a value. */
export type Check = (value: unknown, classes: Classes) => Fault | undefined;

type Plain = (value: unknown) => Fault | undefined;
type Bag = Readonly<Record<string, unknown>>;

export const bool: Plain = (value) =>
  typeof value === "boolean" ? undefined : new Fault("a boolean", value);

export const u8 = integer(0, 0xff);
export const u16 = integer(0, 0xffff);
export const u32 = integer(0, 0xffff_ffff);
export const s8 = integer(-0x80, 0x7f);
export const s16 = integer(-0x8000, 0x7fff);
export const s32 = integer(-0x8000_0000, 0x7fff_ffff);

export const u64: Plain = (value) =>
  typeof value === "bigint" && BigInt.asUintN(64, value) === value
    ? undefined
    : new Fault(`a bigint from 0 to ${String(2n ** 64n - 1n)}`, value);

export const s64: Plain = (value) =>
  typeof value === "bigint" && BigInt.asIntN(64, value) === value
    ? undefined
    : new Fault(
        `a bigint from ${String(-(2n ** 63n))} to ${String(2n ** 63n - 1n)}`,
        value,
      );

export const f64: Plain = (value) =>
  typeof value === "number" ? undefined : new Fault("a number", value);

export const f32: Plain = (value) =>
  typeof value === "number" &&
  (Number.isFinite(Math.fround(value)) || !Number.isFinite(value))
    ? undefined
    : new Fault("a number up to ±3.4028235e38", value);

const ONE = /^\P{Surrogate}$/su;
const LONE = /\p{Surrogate}/u;

/** Whether a text has no lone surrogates. Engines older than their own function for it search for one. */
const isWhole: (this: string) => boolean =
  (String.prototype as { isWellFormed?: () => boolean }).isWellFormed ??
  function () {
    return !LONE.test(this);
  };

export const char: Plain = (value) =>
  typeof value === "string" && ONE.test(value)
    ? undefined
    : new Fault("a string of one character", value);

export const string: Plain = (value) => {
  if (typeof value !== "string") return new Fault("a string", value);
  return isWhole.call(value)
    ? undefined
    : new Fault("a string without lone surrogates", value);
};

/** What a function without a result gives back: anything that is there at once. */
export const nothing: Plain = (value) =>
  value !== undefined && isPromise(value)
    ? new Fault("an answer at once", value)
    : undefined;

export function record(
  name: string,
  fields: (of: Bag, classes: Classes) => Fault | undefined,
): Check {
  return (value, classes) =>
    isObject(value)
      ? fields(value, classes)
      : new Fault(`an object (\`${name}\`)`, value);
}

export function flags(name: string, ...names: readonly string[]): Check {
  const known = new Set(names);
  return (value) => {
    if (!isObject(value)) return new Fault(`an object (\`${name}\`)`, value);
    for (const flag of known) {
      const set = value[flag];
      if (set !== undefined && typeof set !== "boolean")
        return new Fault("a boolean", set).at(`.${flag}`);
    }
    const other = Object.keys(value).find((key) => !known.has(key));
    return other === undefined
      ? undefined
      : new Fault(`flags out of ${names.map(quoted).join(", ")}`, other);
  };
}

export function oneOf(...names: readonly string[]): Check {
  const known = new Set<unknown>(names);
  return (value) =>
    known.has(value)
      ? undefined
      : new Fault(`one of ${names.map(quoted).join(", ")}`, value);
}

/** What a case carries that carries nothing. */
export const empty: Plain = (value) =>
  value === undefined || value === null
    ? undefined
    : new Fault("nothing", value);

/** Cases by their tags, with what they carry. */
export function variant(
  name: string,
  cases: Readonly<Record<string, Check>>,
): Check {
  const known = new Map<unknown, Check>(Object.entries(cases));
  const tags = oneOf(...Object.keys(cases));
  return (value, classes) => {
    if (!isObject(value)) return new Fault(`an object (\`${name}\`)`, value);
    const { tag, val } = value;
    const payload = known.get(tag);
    return payload === undefined
      ? tags(tag, classes)?.at(".tag")
      : payload(val, classes)?.at(".val");
  };
}

export function option(payload: Check): Check {
  return (value, classes) =>
    value === undefined || value === null ? undefined : payload(value, classes);
}

/** An option whose value may itself be `undefined`. */
export function boxed(payload: Check): Check {
  return variant("Option", { some: payload, none: empty });
}

export function list(element: Check): Check {
  return (value, classes) => {
    if (!Array.isArray(value)) return new Fault("an array", value);
    for (let at = 0; at < value.length; at += 1) {
      const fault = element(value[at], classes);
      if (fault !== undefined) return fault.at(`[${String(at)}]`);
    }
    return undefined;
  };
}

export const uint8Array = numbers("Uint8Array", u8);
export const uint16Array = numbers("Uint16Array", u16);
export const uint32Array = numbers("Uint32Array", u32);
export const bigUint64Array = numbers("BigUint64Array", u64);
export const int8Array = numbers("Int8Array", s8);
export const int16Array = numbers("Int16Array", s16);
export const int32Array = numbers("Int32Array", s32);
export const bigInt64Array = numbers("BigInt64Array", s64);
export const float32Array = numbers("Float32Array", f32);
export const float64Array = numbers("Float64Array", f64);

export function result(ok: Check, err: Check): Check {
  return variant("Result", { ok, err });
}

export function tuple(...elements: readonly Check[]): Check {
  const size = elements.length;
  return (value, classes) => {
    if (!Array.isArray(value) || value.length !== size)
      return new Fault(`an array of ${String(size)}`, value);
    for (let at = 0; at < size; at += 1) {
      const fault = elements[at]?.(value[at], classes);
      if (fault !== undefined) return fault.at(`[${String(at)}]`);
    }
    return undefined;
  };
}

export function map(key: Check, of: Check): Check {
  return (value, classes) => {
    if (!tagged(value, "Map")) return new Fault("a Map", value);
    for (const [name, one] of value as Map<unknown, unknown>) {
      const fault =
        key(name, classes)?.at(".keys()") ??
        of(one, classes)?.at(`.get(${told(name)})`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

/** An object of a class, which users find there. */
export function resource(path: string): Check {
  return (value, classes) => {
    const known = classes.get(path);
    if (known === undefined ? isObject(value) : value instanceof known)
      return undefined;
    return new Fault(`an object of this instance's \`${path}\``, value);
  };
}

/** A list of numbers: an array of its own class, or any of such numbers. */
function numbers(name: string, element: Plain): Plain {
  return (value) => {
    if (tagged(value, name)) return undefined;
    if (!Array.isArray(value)) return new Fault(`a ${name}`, value);
    for (let at = 0; at < value.length; at += 1) {
      const fault = element(value[at]);
      if (fault !== undefined) return fault.at(`[${String(at)}]`);
    }
    return undefined;
  };
}

function integer(least: number, greatest: number): Plain {
  return (value) =>
    typeof value === "number" &&
    value >= least &&
    value <= greatest &&
    Number.isInteger(value)
      ? undefined
      : new Fault(
          `an integer from ${String(least)} to ${String(greatest)}`,
          value,
        );
}

function isObject(value: unknown): value is Bag {
  return typeof value === "object" && value !== null;
}

/** Whether it is an object of a class of the language, which has one of its own in every realm. */
function tagged(value: unknown, name: string): boolean {
  return (
    isObject(value) &&
    (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === name
  );
}

function isPromise(value: unknown): boolean {
  return isObject(value) && typeof value["then"] === "function";
}

function quoted(name: unknown): string {
  return `"${String(name)}"`;
}

const LONGEST = 60;

/** A value in an error, shortened to what a reader takes in. */
function told(value: unknown): string {
  if (isPromise(value)) return "a promise, which nobody can wait for";
  if (typeof value === "function") return "a function";
  const text = shown(value);
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  const made = isObject(value) ? value.constructor : undefined;
  return typeof made !== "function" || made === Object || made === Array
    ? short
    : `${made.name} ${short}`;
}

/** A value as text. */
export function shown(value: unknown): string {
  if (value instanceof Error) return value.message;
  if (typeof value === "number") return String(value);
  if (typeof value === "bigint") return `${String(value)}n`;
  try {
    return (
      JSON.stringify(value, (_, one: unknown) =>
        typeof one === "bigint" ? `${String(one)}n` : one,
      ) ?? String(value)
    );
  } catch {
    return String(value);
  }
}
