/// <reference lib="esnext.disposable" preserve="true" />
// What stands between the transpiled component and its users: errors, results, what may happen when. Start reading
// at `offered` and `given`.
import {
  type Args,
  type Check,
  type Classes,
  type Fault,
  resource,
  shown,
} from "./checks.js";

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

/** A function: how it fails, if its interface has an error, and what is wrong with what users give it or return. */
export interface Signature {
  readonly fails?: "thrown" | "returned";
  readonly takes?: (args: Args, classes: Classes) => Fault | undefined;
  readonly gives?: Check;
  readonly error?: Check;
}

type Signatures = Readonly<Record<string, Signature>>;

/** What an interface or the world has: its functions, and its classes. */
export interface Members {
  readonly functions: Signatures;
  readonly classes: Readonly<Record<string, Class>>;
}

/** The functions of a resource; it is `made` by its constructor, if it has one. */
export interface Class {
  readonly made?: Signature;
  readonly methods: Signatures;
  readonly statics: Signatures;
}

/** An interface, `member` of the object that is given or offered; what has no such name belongs to the world. */
export interface Scope extends Members {
  readonly key?: string;
  readonly member?: string;
}

type Callable = (this: unknown, ...args: unknown[]) => unknown;
type Bag = Record<string, unknown>;
type Made = (new (...args: unknown[]) => object) & Bag & { prototype: Bag };

// Engines without explicit resource management know no such symbol, and compiled `using` asks for it.
if ((Symbol as { dispose?: symbol }).dispose === undefined) {
  Object.defineProperty(Symbol, "dispose", {
    value: Symbol.for("Symbol.dispose"),
  });
}

/** One instance: whether it may be entered, and what became of it. */
export class Life {
  /** The classes of its resources, by where users find them. */
  readonly classes = new Map<string, Made>();
  readonly #signal: AbortSignal | undefined;
  #ended: { error: unknown } | undefined;
  #fault: { error: unknown } | undefined;
  #depth = 0;
  #called = false;

  constructor(signal: AbortSignal | undefined) {
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

  /** What a call of `name` ends with that did not return; `fails` says whether its interface has an error. */
  failure(name: string, error: unknown, fails: boolean): unknown {
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
    const gone =
      error instanceof TypeError
        ? /^Resource error: Not a valid "(.*)" resource/.exec(error.message)
        : null;
    if (gone !== null) {
      if (this.#called) this.#ended = { error };
      return new DisposedError(
        `\`${name}\`: this \`${String(gone[1])}\` was disposed of, or handed over`,
        { cause: error },
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
    const path = scope.member === undefined ? "" : `${scope.member}.`;
    for (const [name, signature] of Object.entries(scope.functions))
      to[name] = guarded(from[name] as Callable, path + name, signature, life);
    for (const [name, shape] of Object.entries(scope.classes))
      to[name] = guardedClass(from[name] as Made, path + name, shape, life);
    if (scope.member !== undefined) root[scope.member] = to;
  }
  return root;
}

function guarded(
  call: Callable,
  path: string,
  { fails, takes }: Signature,
  life: Life,
  self?: Check,
): Callable {
  const { classes } = life;
  const returns = fails === "returned";
  const check = (of: unknown, args: Args): void => {
    const fault = self?.(of, classes)?.at("this") ?? takes?.(args, classes);
    if (fault !== undefined) throw fault.error(`\`${path}\`: parameter`);
  };
  const failed = (error: unknown): unknown => {
    const found = life.failure(path, error, fails !== undefined);
    if (returns && found instanceof ResultError)
      return { tag: "err", val: found.payload };
    throw found;
  };
  if (returns) {
    return function (...args) {
      check(this, args);
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
    check(this, args);
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

function guardedClass(
  found: Made,
  path: string,
  shape: Class,
  life: Life,
): unknown {
  life.classes.set(path, found);
  const self = resource(path);
  for (const [name, signature] of Object.entries(shape.methods)) {
    found.prototype[name] = guarded(
      found.prototype[name] as Callable,
      `${path}.${name}`,
      signature,
      life,
      self,
    );
  }
  for (const [name, signature] of Object.entries(shape.statics))
    found[name] = guarded(
      found[name] as Callable,
      `${path}.${name}`,
      signature,
      life,
    );
  const construct = guarded(
    (...args) => Reflect.construct(found, args),
    `new ${path}`,
    shape.made ?? {},
    life,
  );
  return new Proxy(found, {
    construct(_, args: unknown[], { prototype }): object {
      if (shape.made === undefined)
        throw new TypeError(`only the component makes objects of \`${path}\``);
      const made = construct(...args) as object;
      // Of a class that users derive from it.
      if (prototype !== found.prototype)
        Object.setPrototypeOf(made, prototype as object);
      return made;
    },
  });
}

/** What users give the component, of which all is there, as the transpiled component has it. */
export function given(
  imports: unknown,
  scopes: readonly Scope[],
  life: Life,
): Bag {
  const all: Bag = {};
  for (const scope of scopes) {
    const path = pathOf(scope);
    const from = membersOf(imports, scope) as Bag;
    const to: Bag = scope.key === undefined ? all : {};
    for (const [name, signature] of Object.entries(scope.functions)) {
      const call = hosted(from, name, path + name, signature, life);
      to[name] = scope.key === undefined ? { default: call } : call;
    }
    for (const [name, shape] of Object.entries(scope.classes))
      to[name] = hostedClass(from[name] as Made, path + name, shape, life);
    if (scope.key !== undefined) all[scope.key] = to;
  }
  return all;
}

function pathOf(scope: Scope): string {
  return scope.member === undefined ? "imports." : `imports.${scope.member}.`;
}

function membersOf(imports: unknown, scope: Scope): Bag | undefined {
  const all = (imports ?? {}) as Bag;
  return scope.member === undefined
    ? all
    : ((all[scope.member] ?? undefined) as Bag | undefined);
}

function hosted(
  from: Bag,
  name: string,
  path: string,
  signature: Signature,
  life: Life,
): Callable {
  return answering(
    (args) => (from[name] as Callable).apply(from, args),
    path,
    signature,
    life,
  );
}

/** A function of the host's: what it throws is the error of its result, or ends the call that the component is in. */
function answering(
  call: (args: unknown[], self: unknown) => unknown,
  path: string,
  { fails, gives, error: fitting }: Signature,
  life: Life,
): Callable {
  const { classes } = life;
  const returns = fails === "returned";
  const done = (value: unknown): unknown => {
    const fault = gives?.(value, classes)?.at("result");
    if (fault !== undefined) throw fault.error(`\`${path}\`: its`);
    if (!returns) return value;
    const result = value as Result<unknown, unknown>;
    if (result.tag === "err") throw new ResultError(result.val);
    return result.val;
  };
  const failed = (error: unknown): never => {
    if (fails === undefined || !(error instanceof ResultError))
      throw life.fault(path, error);
    const fault = fitting?.(error.payload, classes)?.at("payload");
    throw fault === undefined
      ? error
      : life.fault(path, fault.error(`\`${path}\`: its error's`));
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
  own: Made,
  path: string,
  shape: Class,
  life: Life,
): unknown {
  life.classes.set(path, own);
  const made = answering(
    (args) => new own(...args),
    `new ${path}`,
    shape.made ?? {},
    life,
  );
  const Standing = function (...args: unknown[]): unknown {
    return made(...args);
  } as unknown as Bag & { prototype: Bag };
  Object.defineProperty(Standing, Symbol.hasInstance, {
    value: (one: unknown) => one instanceof own,
  });
  for (const [method, signature] of Object.entries(shape.methods)) {
    Standing.prototype[method] = answering(
      (args, self) => ((self as Bag)[method] as Callable).apply(self, args),
      `${path}.${method}`,
      signature,
      life,
    );
  }
  for (const [method, signature] of Object.entries(shape.statics))
    Standing[method] = hosted(
      own,
      method,
      `${path}.${method}`,
      signature,
      life,
    );
  return Standing;
}

/** Throws if something is missing that the component calls. */
export function complete(
  options: { readonly imports?: unknown } | undefined,
  scopes: readonly Scope[],
): void {
  const lacking = scopes.flatMap((scope) => {
    const names = missing(membersOf(options?.imports, scope), scope);
    return names.length === 0 ? [] : [{ scope, names }];
  });
  if (lacking.length === 0) return;
  const needed = lacking.map(({ scope, names }) => {
    const of = scope.key === undefined ? "" : ` of \`${scope.key}\``;
    return few(names.map((name) => `\`${name}\``)) + of;
  });
  const passed = lacking.map(({ scope, names }) => {
    const members = few(
      new Set(names.map((name) => String(name.split(".")[0]))),
    );
    return scope.member === undefined
      ? members
      : `${scope.member}: { ${members} }`;
  });
  throw new TypeError(
    `\`instantiate\` needs ${needed.join(", ")}: pass \`{ imports: { ${passed.join(", ")} } }\``,
  );
}

/** What is not there of the classes and functions of a scope. */
function missing(from: Bag | undefined, scope: Scope): string[] {
  const found: string[] = [];
  const seek = (of: Bag | undefined, names: object, path = ""): void => {
    for (const name of Object.keys(names))
      if (typeof of?.[name] !== "function") found.push(path + name);
  };
  seek(from, scope.classes);
  for (const [name, { methods, statics }] of Object.entries(scope.classes)) {
    const own = from?.[name] as Made | undefined;
    if (typeof own !== "function") continue;
    seek(own.prototype, methods, `${name}.prototype.`);
    seek(own, statics, `${name}.`);
  }
  seek(from, scope.functions);
  return found;
}

const FEW = 5;

/** The first of many. */
function few(all: Iterable<string>): string {
  const [...found] = all;
  const rest = found.length > FEW ? ["…"] : [];
  return [...found.slice(0, FEW), ...rest].join(", ");
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
    found = read(core).then(compiledBytes);
    compiled.set(core.digest, found);
    found.catch(() => compiled.delete(core.digest));
  }
  return signal === undefined ? found : until(found, signal);
}

/** What others wait for too: a signal ends the wait of one. */
function until<T>(found: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted);
    found.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", aborted);
    });
  });
}

async function compiledBytes(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    if (!(cause instanceof WebAssembly.CompileError)) throw cause;
    throw new Error(
      `this engine is too old for what the component is made of: ${cause.message}`,
      { cause },
    );
  }
}

async function read(core: Core): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await bytesOf(core.url);
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

async function bytesOf(url: URL): Promise<Uint8Array<ArrayBuffer>> {
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
  const answer = await fetch(url);
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
