/// <reference lib="esnext.disposable" preserve="true" />
// Runs the component in a worker, which can be ended while it computes. Start reading at `opened`; `served` is the
// other side.
import {
  DigestError,
  DisposedError,
  ResultError,
  TrapError,
} from "./runtime.js";

/** Functions whose answers come later. */
export type Later<T> = {
  readonly [Name in keyof T]: T[Name] extends (
    ...args: infer Arguments
  ) => infer Value
    ? (...args: Arguments) => Promise<Value>
    : never;
};

/** What an instance in a worker is made with. */
export interface Settings {
  readonly imports?: URL | undefined;
  readonly wasi?: unknown;
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Functions by the member of the instance that has them, which is empty for those of the world. */
export type Functions = readonly (readonly [
  member: string,
  names: readonly string[],
])[];

type Bag = Record<PropertyKey, unknown>;

/** What a worker is asked: first to make an instance, then to call it. */
type Message =
  | { readonly imports: string | undefined; readonly wasi: unknown }
  | {
      readonly member: string;
      readonly name: string;
      readonly args: readonly unknown[];
    };

type Answer =
  | { readonly value: unknown }
  | {
      readonly error: unknown;
      readonly name: string;
      readonly payload: unknown;
    };

/** One end of what joins two threads. */
interface Port {
  send(message: unknown): void;
  hear(
    heard: (message: unknown) => void,
    failed: (error: unknown) => void,
  ): void;
}

/** A worker as its maker has it. In Node it keeps the process alive while it is busy. */
interface Thread extends Port {
  busy(busy: boolean): void;
  end(): void;
}

/** What a thread of Node offers, which has no types here. */
interface NodeThread {
  postMessage(message: unknown): void;
  on(event: string, heard: (message: unknown) => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

interface NodeThreads {
  readonly Worker: new (file: URL) => NodeThread;
  readonly parentPort: NodeThread;
}

const LONGEST = 2 ** 31 - 1;

/** The same, if it has a module that the component calls. */
export function hosted(settings: Settings | undefined): Settings {
  if (!(settings?.imports instanceof URL)) {
    throw new TypeError(
      '`imports` has to be the URL of a module whose default export is what the component calls: pass `{ imports: new URL("./imports.js", import.meta.url) }`',
    );
  }
  return settings;
}

/** An instance in a worker of its own, which knows these functions. */
export async function opened(
  functions: Functions,
  settings: Settings,
): Promise<Bag> {
  const { imports, wasi, signal, timeout } = settings;
  if (timeout !== undefined && !(timeout > 0 && timeout <= LONGEST))
    throw new RangeError(
      `\`timeout\` is ${String(timeout)}: it has to be milliseconds, up to ${String(LONGEST)}`,
    );
  signal?.throwIfAborted();
  const remote = new Remote(await started(), timeout, signal);
  try {
    await remote.ask("instantiate", { imports: imports?.href, wasi });
  } catch (error) {
    remote.end(error);
    throw error;
  }
  const root: Bag = {
    [Symbol.dispose]: () => {
      remote.end(new Error("it was disposed of"));
    },
  };
  for (const [member, names] of functions) {
    const to: Bag = member === "" ? root : {};
    for (const name of names)
      to[name] = (...args: unknown[]) => remote.call(member, name, args);
    if (member !== "") root[member] = to;
  }
  return root;
}

/** A worker and the call that it is in; others wait for their turn, and their time begins with it. */
class Remote {
  readonly #thread: Thread;
  readonly #timeout: number | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #aborted = (): void => {
    this.end(this.#signal?.reason);
  };
  #last: Promise<unknown> = Promise.resolve();
  #settle: ((answer: Answer) => void) | undefined;
  #ended: { error: unknown } | undefined;

  constructor(
    thread: Thread,
    timeout: number | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#thread = thread;
    this.#timeout = timeout;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#aborted);
    thread.hear(
      (answer) => this.#settle?.(answer as Answer),
      (error) => {
        this.end(error);
      },
    );
  }

  call(
    member: string,
    name: string,
    args: readonly unknown[],
  ): Promise<unknown> {
    const path = member === "" ? name : `${member}.${name}`;
    const answer = this.#last.then(() =>
      this.ask(path, { member, name, args }, this.#timeout),
    );
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async ask(
    name: string,
    message: Message,
    timeout?: number,
  ): Promise<unknown> {
    this.#signal?.throwIfAborted();
    if (this.#ended !== undefined) {
      throw new TrapError("its worker was ended: make another", {
        cause: this.#ended.error,
      });
    }
    const late = (): void => {
      const words = `\`${name}\` took longer than ${String(timeout)} ms, and its worker was ended: make another`;
      this.end(new DOMException(words, "TimeoutError"));
    };
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout);
    this.#thread.busy(true);
    try {
      const answer = await new Promise<Answer>((settle) => {
        this.#settle = settle;
        try {
          this.#thread.send(message);
        } catch (cause) {
          throw new TypeError(
            `\`${name}\`: not all of it can be sent to a worker: ${(cause as Error).message}`,
            { cause },
          );
        }
      });
      if ("value" in answer) return answer.value;
      throw rebuilt(answer.name, answer.error, answer.payload);
    } finally {
      this.#settle = undefined;
      this.#thread.busy(false);
      clearTimeout(timer);
    }
  }

  /** Ends the worker, and with this error the call that it is in. */
  end(error: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    this.#signal?.removeEventListener("abort", this.#aborted);
    this.#thread.end();
    this.#settle?.({ error, name: "", payload: undefined });
  }
}

/** What the worker does: makes an instance, then calls it. */
export function served(
  instantiate: (options: never) => Promise<unknown>,
): void {
  let instance: Bag = {};
  const answer = async (message: Message): Promise<unknown> => {
    if ("name" in message) {
      const { member, name, args } = message;
      const from = member === "" ? instance : (instance[member] as Bag);
      return (from[name] as (...args: readonly unknown[]) => unknown)(...args);
    }
    const { imports, wasi } = message;
    const given =
      imports === undefined
        ? undefined
        : ((await import(
            /* @vite-ignore */ /* webpackIgnore: true */ imports
          )) as { default: unknown });
    if (given !== undefined && given.default === undefined) {
      throw new TypeError(
        `${String(imports)} has no default export, which has to be what the component calls`,
      );
    }
    instance = (await instantiate({
      imports: given?.default,
      wasi,
    } as never)) as Bag;
    return undefined;
  };
  const serve = (port: Port): void => {
    port.hear(
      (message) => {
        answer(message as Message).then(
          (value) => {
            port.send({ value });
          },
          (error: unknown) => {
            failed(port, error);
          },
        );
      },
      () => undefined,
    );
  };
  const own = globalThis as unknown as Worker;
  // At once, in browsers: what is sent before anybody listens is lost there.
  if (typeof own.postMessage === "function") serve(webPort(own));
  else
    void threads().then(({ parentPort }) => {
      serve(nodePort(parentPort));
    });
}

function failed(port: Port, error: unknown): void {
  const { name, payload } = error as { name?: unknown; payload?: unknown };
  const words = { name: String(name), payload };
  try {
    port.send({ error, ...words });
  } catch {
    // What cannot be sent as it is.
    port.send({
      ...words,
      error: new Error(String(error)),
      payload: undefined,
    });
  }
}

const ERRORS: Readonly<
  Record<string, new (message: string, options: ErrorOptions) => Error>
> = { DigestError, DisposedError, TrapError };

/** An error of the other side, of the class that it had there. */
function rebuilt(name: string, error: unknown, payload: unknown): unknown {
  if (name === "ResultError") return new ResultError(payload);
  const known = ERRORS[name];
  return known !== undefined && error instanceof Error
    ? new known(error.message, { cause: error })
    : error;
}

async function started(): Promise<Thread> {
  if (typeof Worker === "function") {
    const worker = new Worker(new URL("./served.js", import.meta.url), {
      type: "module",
    });
    return {
      ...webPort(worker),
      busy: () => undefined,
      end: () => {
        worker.terminate();
      },
    };
  }
  const node = await threads();
  const worker = new node.Worker(new URL("./served.js", import.meta.url));
  return {
    ...nodePort(worker),
    busy: (busy) => {
      if (busy) worker.ref();
      else worker.unref();
    },
    end: () => {
      void worker.terminate();
    },
  };
}

function webPort(worker: Worker): Port {
  return {
    send: (message) => {
      worker.postMessage(message);
    },
    hear: (heard, failed) => {
      worker.addEventListener("message", ({ data }) => {
        heard(data);
      });
      worker.addEventListener("error", ({ message }) => {
        failed(new Error(message || "its worker could not be started"));
      });
    },
  };
}

function nodePort(thread: NodeThread): Port {
  return {
    send: (message) => {
      thread.postMessage(message);
    },
    hear: (heard, failed) => {
      thread.on("message", heard);
      thread.on("error", failed);
      thread.on("exit", () => {
        failed(new Error("its worker ended"));
      });
    },
  };
}

async function threads(): Promise<NodeThreads> {
  // Not a literal, so that bundlers for browsers leave it alone.
  const node = "node:worker_threads";
  return (await import(
    /* @vite-ignore */ /* webpackIgnore: true */ node
  )) as NodeThreads;
}
