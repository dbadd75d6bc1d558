// What every guest in JavaScript has beside the language itself. It runs when a guest is built.
import "./promise.js";

/** @type {[string, number][]} Where each line of the bundle comes from; filled in when it is built. */
const lines = [];

class Encoder {
  encoding = "utf-8";

  /** @param {string} text */
  encode(text = "") {
    const bytes = [];
    for (const letter of String(text).toWellFormed()) {
      const code = letter.codePointAt(0);
      if (code < 0x80) bytes.push(code);
      else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
      else if (code < 0x10000)
        bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
      else
        bytes.push(
          0xf0 | (code >> 18),
          0x80 | ((code >> 12) & 63),
          0x80 | ((code >> 6) & 63),
          0x80 | (code & 63),
        );
    }
    return new Uint8Array(bytes);
  }
}

class Decoder {
  encoding = "utf-8";

  /** @param {ArrayBuffer | ArrayBufferView} data */
  decode(data = new Uint8Array()) {
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data);
    let text = "";
    for (let at = 0; at < bytes.length; ) {
      const first = bytes[at++];
      const more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
      let code = more > 0 ? first & (0x3f >> more) : first;
      let left = more;
      while (left > 0 && (bytes[at] & 0xc0) === 0x80) {
        code = (code << 6) | (bytes[at++] & 63);
        left -= 1;
      }
      const wrong = left !== 0 || (more === 2 && code < 0x800) || (more === 3 && code < 0x10000) || code > 0x10ffff;
      text += String.fromCodePoint(wrong || (code >= 0xd800 && code < 0xe000) ? 0xfffd : code);
    }
    return text.startsWith("\ufeff") ? text.slice(1) : text;
  }
}

globalThis.TextEncoder ??= Encoder;
globalThis.TextDecoder ??= Decoder;
const silent = () => {};
// What packages of npm look at, to leave out what only helps while one develops.
globalThis.process ??= { env: { NODE_ENV: "production" } };
globalThis.console ??= { log: silent, info: silent, debug: silent, warn: silent, error: silent };

// What the engine took from the clock when the guest was built would be the same in each run: numbers by chance (as
// sfc32 makes them) begin at the time of the run, as does what `performance.now` counts from.
const sinceBuild = performance.now.bind(performance);
let chance = null;
let began = null;

function next(state) {
  const sum = (state[0] + state[1] + state[3]) | 0;
  state[3] = (state[3] + 1) | 0;
  state[0] = state[1] ^ (state[1] >>> 9);
  state[1] = (state[2] + (state[2] << 3)) | 0;
  state[2] = ((state[2] << 21) | (state[2] >>> 11)) + sum;
  return sum >>> 0;
}

function begun() {
  const state = new Int32Array([Date.now(), Date.now() / 2 ** 32, sinceBuild() * 1e6, 1]);
  for (let round = 0; round < 15; round += 1) next(state);
  return state;
}

Math.random = function random() {
  chance ??= begun();
  return ((next(chance) >>> 5) * 2 ** 26 + (next(chance) >>> 6)) / 2 ** 53;
};
globalThis.performance = {
  now() {
    began ??= sinceBuild();
    return sinceBuild() - began;
  },
};

/** What the bundle ends with: from here on it is a run. */
globalThis.__wherryBuilt = (table) => {
  lines.push(...table);
  [chance, began] = [null, null];
};

/** A stack with the user's files and lines in place of those of the bundle, without what is not the user's. */
export function located(stack) {
  const frames = String(stack).trimEnd().split("\n");
  const mapped = frames.map((frame) => {
    const found = /[^\s(]*\/guest\.js:(\d+)(:\d+)?/.exec(frame);
    if (found === null) return frame;
    const place = lines[found[1] - 1];
    return place ? frame.replace(found[0], `${place[0]}:${place[1]}`) : null;
  });
  const shown = mapped.filter((frame) => frame !== null);
  // What called the first of the user's functions is the engine, for us.
  while (/^\s+at .*\(native\)$/.test(shown.at(-1) ?? "")) shown.pop();
  return shown.join("\n");
}
