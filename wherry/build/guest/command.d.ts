// What commands have beside that.
declare const process: {
  argv: string[];
  env: Record<string, string | undefined>;
  exitCode: number;
  platform: string;
  stdout: { write(data: string | Uint8Array): boolean };
  stderr: { write(data: string | Uint8Array): boolean };
  exit(code?: number): never;
};

declare module "node:fs" {
  export function readFileSync(path: string | 0, options: "utf8" | "utf-8"): string;
  export function readFileSync(path: string | 0): Uint8Array;
  export function writeFileSync(path: string, data: string | Uint8Array): void;
  export function existsSync(path: string): boolean;
}
