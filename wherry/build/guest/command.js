// What programs in JavaScript expect of their host, on WASI: `console`, `process` and the files of `node:fs`.
import { getArguments, getEnvironment } from "wasi:cli/environment@0.2.12";
import { exitWithCode } from "wasi:cli/exit@0.2.12";
import { getStderr } from "wasi:cli/stderr@0.2.12";
import { getStdin } from "wasi:cli/stdin@0.2.12";
import { getStdout } from "wasi:cli/stdout@0.2.12";
import { located } from "./base.js";
import { missed, settled } from "./promise.js";

const MOST = 4096; // what one call of `blocking-write-and-flush` takes

class Exit {
  constructor(code) {
    this.code = code;
  }
}

const bytes = (data) => (typeof data === "string" ? new TextEncoder().encode(data) : data);

function write(stream, data) {
  const all = bytes(data);
  for (let at = 0; at < all.length; at += MOST) stream.blockingWriteAndFlush(all.slice(at, at + MOST));
  return true;
}

function shown(value, depth = 0) {
  if (typeof value === "string") return depth ? JSON.stringify(value) : value;
  if (value instanceof Error) return located(`${value}\n${value.stack ?? ""}`).trimEnd();
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `[ ${value.map((one) => shown(one, depth + 1)).join(", ")} ]`;
  if (typeof value !== "object" || value === null) return String(value);
  const members = Object.entries(value).map(([name, one]) => `${name}: ${shown(one, depth + 1)}`);
  return members.length ? `{ ${members.join(", ")} }` : "{}";
}

/** All of a stream, to its end. */
export function readAll(stream) {
  const pieces = [];
  for (;;) {
    try {
      pieces.push(stream.blockingRead(65536));
    } catch {
      break; // closed: `stream-error` has no other case that a reader could act on
    }
  }
  const all = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Runs a program: `load` evaluates its main module. */
export function start(load) {
  const [out, err] = [getStdout(), getStderr()];
  const say = (stream) => (...values) => void write(stream, `${values.map((one) => shown(one)).join(" ")}\n`);
  globalThis.console = { log: say(out), info: say(out), debug: say(out), warn: say(err), error: say(err) };
  globalThis.process = {
    argv: ["wherry", ...getArguments()],
    env: Object.fromEntries(getEnvironment()),
    exitCode: 0,
    platform: "wasi",
    stdout: { write: (data) => write(out, data) },
    stderr: { write: (data) => write(err, data) },
    exit(code) {
      throw new Exit(code ?? globalThis.process.exitCode);
    },
  };
  let code;
  try {
    settled(load());
    for (const error of missed()) throw error;
    code = globalThis.process.exitCode;
  } catch (error) {
    code = error instanceof Exit ? error.code : 1;
    if (!(error instanceof Exit)) console.error(error);
  }
  if (code) exitWithCode(code & 0xff);
}

export const standardInput = () => readAll(getStdin());
