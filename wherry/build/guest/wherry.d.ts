// What guests of Wherry have beside the language.
interface Console {
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

declare const console: Console;
declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}

declare class TextDecoder {
  readonly encoding: "utf-8";
  decode(data?: ArrayBuffer | ArrayBufferView): string;
}

declare function queueMicrotask(job: () => void): void;
/** Calls a function when all promises have gone on as far as they can. */
declare function setImmediate<T extends unknown[]>(job: (...given: T) => void, ...given: T): void;
