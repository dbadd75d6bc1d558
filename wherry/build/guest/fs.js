// The part of `node:fs` that programs need to read and write files, on WASI.
import { getDirectories } from "wasi:filesystem/preopens@0.2.12";
import { standardInput } from "./command.js";

const MOST = 1 << 16;
const GRANTED = "it was not granted, or is not there";

/** The granted folder that a path is in, and the path within it. */
function place(path) {
  const whole = String(path);
  let best = null;
  for (const [folder, name] of getDirectories()) {
    const prefix = name.endsWith("/") ? name : `${name}/`;
    if ((whole === name || whole.startsWith(prefix)) && (best === null || name.length > best[1].length))
      best = [folder, name, whole.slice(prefix.length) || "."];
    else if (!whole.startsWith("/") && (name === "." || name === "") && best === null) best = [folder, name, whole];
  }
  if (best === null) throw failure("ENOENT", path, GRANTED);
  return best;
}

function failure(code, path, why) {
  return Object.assign(new Error(`${code}: ${why}, '${path}'`), { code, path: String(path) });
}

function open(path, openFlags, flags) {
  const [folder, , within] = place(path);
  try {
    return folder.openAt({ symlinkFollow: true }, within, openFlags, flags);
  } catch (error) {
    throw failure("ENOENT", path, String(error?.payload ?? error?.message ?? error));
  }
}

export function readFileSync(path, options) {
  const pieces = [];
  if (path === 0 || path === "/dev/stdin") pieces.push(...standardInput());
  else {
    const file = open(path, {}, { read: true });
    for (let at = 0; ; ) {
      const [piece, end] = file.read(MOST, at);
      for (const byte of piece) pieces.push(byte);
      at += piece.length;
      if (end || piece.length === 0) break;
    }
  }
  const data = new Uint8Array(pieces);
  const encoding = typeof options === "string" ? options : options?.encoding;
  return encoding ? new TextDecoder().decode(data) : data;
}

export function writeFileSync(path, data) {
  const all = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const file = open(path, { create: true, truncate: true }, { write: true });
  for (let at = 0; at < all.length; ) at += file.write(all.slice(at, at + MOST), at);
}

export function existsSync(path) {
  try {
    const [folder, , within] = place(path);
    folder.statAt({ symlinkFollow: true }, within);
    return true;
  } catch {
    return false;
  }
}

export default { readFileSync, writeFileSync, existsSync };
