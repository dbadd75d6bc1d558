// What guests of Wherry have beside the language.
interface Console {
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

declare const console: Console;
declare const process: {
  argv: string[];
  env: Record<string, string | undefined>;
  exitCode: number;
  platform: string;
  stdout: { write(data: string | Uint8Array): boolean };
  stderr: { write(data: string | Uint8Array): boolean };
  exit(code?: number): never;
};

declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}

declare class TextDecoder {
  readonly encoding: "utf-8";
  decode(data?: ArrayBuffer | ArrayBufferView): string;
}

declare module "node:fs" {
  export function readFileSync(path: string | 0, options: "utf8" | "utf-8"): string;
  export function readFileSync(path: string | 0): Uint8Array;
  export function writeFileSync(path: string, data: string | Uint8Array): void;
  export function existsSync(path: string): boolean;
}
