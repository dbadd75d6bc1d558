/// <reference lib="esnext.disposable" preserve="true" />
// What stands between the transpiled component and its users: errors, results, what may happen when. Start reading
// at `offered` and `given`.

/** A success or a failure, as a value. */
export type Result<T, E> = { tag: "ok"; val: T } | { tag: "err"; val: E };

/** A value or nothing, where `undefined` is a value. */
export type Option<T> = { tag: "some"; val: T } | { tag: "none" };

/** The error that a function has in its interface: `payload` is its value. */
export class ResultError<E> extends Error {
  override readonly name = "ResultError";

  /** The value of the error. */
  readonly payload: E;

  constructor(payload: E, options?: ErrorOptions) {
    super(
      typeof payload === "string"
        ? payload
        : `the call failed: ${shown(payload)}`,
      options,
    );
    this.payload = payload;
  }
}

/** The component ended: by a trap, or because what you gave it failed (`cause`). Its instance cannot go on. */
export class TrapError extends Error {
  override readonly name = "TrapError";
}

/** A file of this package is not the one that it was made with. */
export class DigestError extends Error {
  override readonly name = "DigestError";
}

/** A resource was used after it was disposed of, or handed over. */
export class DisposedError extends Error {
  override readonly name = "DisposedError";
}

/** Whether a function has an error in its interface. */
export type Kind = "plain" | "fails";

/** What an interface or the world has: kinds of its functions, and its classes. */
export interface Members {
  readonly functions: Readonly<Record<string, Kind>>;
  readonly classes: Readonly<Record<string, Class>>;
}

/** The functions of a resource. */
export interface Class {
  readonly constructible: boolean;
  readonly methods: Readonly<Record<string, Kind>>;
  readonly statics: Readonly<Record<string, Kind>>;
}

/** An interface, `member` of the object that is given or offered; what has no such name belongs to the world. */
export interface Scope extends Members {
  readonly key?: string;
  readonly member?: string;
}

type Callable = (this: unknown, ...args: unknown[]) => unknown;
type Bag = Record<string, unknown>;

// Engines without explicit resource management know no such symbol, and compiled `using` asks for it.
if ((Symbol as { dispose?: symbol }).dispose === undefined) {
  Object.defineProperty(Symbol, "dispose", {
    value: Symbol.for("Symbol.dispose"),
  });
}

/** One instance: whether it may be entered, and what became of it. */
export class Life {
  readonly thrown: boolean;
  readonly #signal: AbortSignal | undefined;
  #ended: { error: unknown } | undefined;
  #fault: { error: unknown } | undefined;
  #depth = 0;
  #called = false;

  constructor(thrown: boolean, signal: AbortSignal | undefined) {
    this.thrown = thrown;
    this.#signal = signal;
  }

  /** Before the component is called. */
  enter(): void {
    this.#signal?.throwIfAborted();
    if (this.#ended !== undefined) {
      throw new TrapError(
        "this instance ended with an earlier error: make another",
        { cause: this.#ended.error },
      );
    }
    if (this.#depth > 0)
      throw new TrapError(
        "the component is in a call: what it calls cannot call it again",
      );
    this.#called = false;
    this.#fault = undefined;
    this.#depth += 1;
  }

  leave(): void {
    this.#depth -= 1;
  }

  /** Before the component gets what it asked for. */
  called(): void {
    this.#called = true;
    this.#signal?.throwIfAborted();
  }

  /** What was given to the component failed: the call that it is in ends with that. */
  fault(name: string, error: unknown): unknown {
    const found =
      error instanceof Error && !(error instanceof ResultError)
        ? error
        : new TypeError(
            `\`${name}\` threw what its interface has no error for: ${shown(error)}`,
            { cause: error },
          );
    this.#fault = { error: found };
    return found;
  }

  /** What a call ends with that did not return; `fails` says whether its interface has an error. */
  failure(error: unknown, fails: boolean): unknown {
    const fault = this.#fault;
    if (fault !== undefined) {
      this.#ended = fault;
      return fault.error;
    }
    if (error instanceof WebAssembly.RuntimeError || exhausted(error)) {
      this.#ended = { error };
      return new TrapError(`the component ended: ${error.message}`, {
        cause: error,
      });
    }
    if (
      error instanceof TypeError &&
      error.message.startsWith("Resource error")
    ) {
      if (this.#called) this.#ended = { error };
      return new DisposedError(
        `${error.message.slice("Resource error: ".length)} It was disposed of or handed over`,
        {
          cause: error,
        },
      );
    }
    if (error instanceof Error) {
      if (this.#called) this.#ended = { error };
      return error;
    }
    return fails ? new ResultError(error) : error;
  }
}

/** What the transpiled component exports, as its users have it. */
export function offered(
  exports: Bag,
  scopes: readonly Scope[],
  life: Life,
): Bag {
  const root: Bag = {};
  for (const scope of scopes) {
    const from =
      scope.key === undefined ? exports : (exports[scope.key] as Bag);
    const to: Bag = scope.member === undefined ? root : {};
    for (const [name, kind] of Object.entries(scope.functions))
      to[name] = guarded(from[name] as Callable, kind, life);
    for (const [name, shape] of Object.entries(scope.classes))
      to[name] = guardedClass(from[name], shape, life);
    if (scope.member !== undefined) root[scope.member] = to;
  }
  return root;
}

function guarded(call: Callable, kind: Kind, life: Life): Callable {
  const fails = kind === "fails";
  const returns = fails && !life.thrown;
  const failed = (error: unknown): unknown => {
    const found = life.failure(error, fails);
    if (returns && found instanceof ResultError)
      return { tag: "err", val: found.payload };
    throw found;
  };
  if (returns) {
    return function (...args) {
      life.enter();
      try {
        const val = call.apply(this, args);
        life.leave();
        return { tag: "ok", val };
      } catch (error) {
        life.leave();
        return failed(error);
      }
    };
  }
  return function (...args) {
    life.enter();
    try {
      const value = call.apply(this, args);
      life.leave();
      return value;
    } catch (error) {
      life.leave();
      return failed(error);
    }
  };
}

function guardedClass(made: unknown, shape: Class, life: Life): unknown {
  const found = made as { prototype: Bag } & Bag;
  for (const [name, kind] of Object.entries(shape.methods)) {
    found.prototype[name] = guarded(
      found.prototype[name] as Callable,
      kind,
      life,
    );
  }
  for (const [name, kind] of Object.entries(shape.statics))
    found[name] = guarded(found[name] as Callable, kind, life);
  const construct = guarded(
    (...args) => Reflect.construct(made as new () => object, args),
    "plain",
    life,
  );
  return new Proxy(made as new () => object, {
    construct(_, args: unknown[]): object {
      if (!shape.constructible)
        throw new TypeError("only the component makes objects of this class");
      return construct(...args) as object;
    },
  });
}

/** What users give the component, as the transpiled component has it. */
export function given(
  imports: unknown,
  scopes: readonly Scope[],
  life: Life,
): Bag {
  const all: Bag = {};
  for (const scope of scopes) {
    const path =
      scope.member === undefined ? "imports" : `imports.${scope.member}`;
    const from = (
      scope.member === undefined
        ? imports
        : (imports as Bag | undefined)?.[scope.member]
    ) as Bag | undefined;
    if (from === undefined || from === null)
      throw new TypeError(`\`${path}\` is missing: the component needs it`);
    const to: Bag = scope.key === undefined ? all : {};
    for (const [name, kind] of Object.entries(scope.functions)) {
      const call = hosted(from, name, `${path}.${name}`, kind, life);
      to[name] = scope.key === undefined ? { default: call } : call;
    }
    for (const [name, shape] of Object.entries(scope.classes))
      to[name] = hostedClass(from, name, path, shape, life);
    if (scope.key !== undefined) all[scope.key] = to;
  }
  return all;
}

function hosted(
  from: Bag,
  name: string,
  path: string,
  kind: Kind,
  life: Life,
): Callable {
  if (typeof from[name] !== "function")
    throw new TypeError(`\`${path}\` is missing: it has to be a function`);
  return answering(
    (args) => (from[name] as Callable).apply(from, args),
    path,
    kind,
    life,
  );
}

/** A function of the host's: what it throws is the error of its result, or ends the call that the component is in. */
function answering(
  call: (args: unknown[], self: unknown) => unknown,
  path: string,
  kind: Kind,
  life: Life,
): Callable {
  const fails = kind === "fails";
  const returns = fails && !life.thrown;
  const done = (value: unknown): unknown => {
    if (!returns) return value;
    const result = value as Result<unknown, unknown>;
    if (result.tag === "err") throw new ResultError(result.val);
    return result.val;
  };
  const failed = (error: unknown): never => {
    throw fails && error instanceof ResultError
      ? error
      : life.fault(path, error);
  };
  return function (...args) {
    try {
      life.called();
      return done(call(args, this));
    } catch (error) {
      return failed(error);
    }
  };
}

function hostedClass(
  from: Bag,
  name: string,
  path: string,
  shape: Class,
  life: Life,
): unknown {
  const own = from[name] as (new (...args: unknown[]) => object) & Bag;
  if (typeof own !== "function")
    throw new TypeError(`\`${path}.${name}\` is missing: it has to be a class`);
  const made = answering(
    (args) => new own(...args),
    `new ${path}.${name}`,
    "plain",
    life,
  );
  const Standing = function (...args: unknown[]): unknown {
    return made(...args);
  } as unknown as Bag & { prototype: Bag };
  Object.defineProperty(Standing, Symbol.hasInstance, {
    value: (one: unknown) => one instanceof own,
  });
  for (const [method, kind] of Object.entries(shape.methods)) {
    if (typeof (own.prototype as Bag)[method] !== "function") {
      throw new TypeError(
        `\`${path}.${name}.prototype.${method}\` is missing: it has to be a function`,
      );
    }
    Standing.prototype[method] = answering(
      (args, self) => ((self as Bag)[method] as Callable).apply(self, args),
      `${path}.${name}.${method}`,
      kind,
      life,
    );
  }
  for (const [method, kind] of Object.entries(shape.statics)) {
    Standing[method] = hosted(
      own,
      method,
      `${path}.${name}.${method}`,
      kind,
      life,
    );
  }
  return Standing;
}

/** A core module of the component, and the SHA-256 that it has to have. */
export interface Core {
  readonly url: URL;
  readonly digest: string;
}

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** Compiles a core module, once for all instances. */
export function compile(
  core: Core,
  signal: AbortSignal | undefined,
): Promise<WebAssembly.Module> {
  let found = compiled.get(core.digest);
  if (found === undefined) {
    found = read(core, signal).then((bytes) => WebAssembly.compile(bytes));
    compiled.set(core.digest, found);
    found.catch(() => compiled.delete(core.digest));
  }
  return found;
}

async function read(
  core: Core,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await bytesOf(core.url, signal);
  // Browsers have no digests for pages that came over an insecure connection.
  const { subtle } = globalThis.crypto as { subtle?: SubtleCrypto };
  if (subtle !== undefined) {
    const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
    const text = Array.from(digest, (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    if (text !== core.digest) {
      throw new DigestError(
        `${core.url.href} is not the file that this package was made with: install it again`,
      );
    }
  }
  return bytes;
}

async function bytesOf(
  url: URL,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  if (url.protocol === "file:") {
    // Not a literal, so that bundlers for browsers leave it alone.
    const node = "node:fs/promises";
    const files = (await import(
      /* @vite-ignore */ /* webpackIgnore: true */ node
    )) as {
      readFile(path: URL): Promise<Uint8Array<ArrayBuffer>>;
    };
    return files.readFile(url).catch((cause: unknown) => {
      const why = `${url.href} of this package cannot be read: install it again`;
      throw new Error(why, { cause });
    });
  }
  const answer = await fetch(url, signal === undefined ? {} : { signal });
  if (!answer.ok)
    throw new Error(
      `${url.href} cannot be fetched: ${String(answer.status)} ${answer.statusText}`,
    );
  return new Uint8Array(await answer.arrayBuffer());
}

/** Whether the stack was used up, which engines report in words of their own. */
function exhausted(error: unknown): error is Error {
  return (
    error instanceof Error &&
    /call stack|too much recursion/.test(error.message)
  );
}

function shown(value: unknown): string {
  if (value instanceof Error) return value.message;
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
