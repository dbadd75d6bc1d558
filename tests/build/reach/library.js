import { classify, Log, name, tell, total } from "acme:greeter/host";

const same = (value) => value;
let calls = 0;

export const numbers = {
  sameBool: same, sameU8: same, sameU16: same, sameU32: same, sameU64: same,
  sameS8: same, sameS16: same, sameS32: same, sameS64: same,
  sameF32: same, sameF64: same, sameChar: same, sameBytes: same, sameRows: same,
  twenty: (...given) => [
    given.filter((one) => typeof one !== "string").reduce((sum, one) => sum + Number(one), 0),
    given.filter((one) => typeof one === "string").join(""),
  ],
  count: () => void (calls += 1),
  counted: () => calls,
};

export const texts = {
  sameString: same,
  sameStrings: same,
  encoded: (text) => new TextEncoder().encode(text),
  joined: (parts, separator) => parts.join(separator),
};

export const shapes = {
  samePoint: same, sameSegment: same, sameShape: same, sameShapes: same, sameColour: same,
  sameOne: same, sameNine: same, sameMost: same, samePair: same, sameTuple: same,
  looks(shape) {
    switch (shape.tag) {
      case "dot":
        return ["red", 1];
      case "at":
        return ["green", 2];
      case "many":
        return ["dark-blue", shape.val.length];
    }
    return null;
  },
  turned: ({ x, y }, { a, i }) => [{ x: Math.round(y), y: x }, a && i],
};

/** The payload of a result, or its error thrown. */
function returned(result) {
  if (result.tag === "err") throw result.val;
  return result.val;
}

export const maybes = {
  sameOption: same, sameText: same, sameTwice: same, sameList: same,
  sameBoth: returned, sameOk: returned, sameErr: returned, sameNeither: returned,
  sameOutcomes: same, sameResults: same,
  parsed(text) {
    if (!/^[0-9]+$/.test(text) || Number(text) > 65535) throw new Error(`${text} is no number`);
    return Number(text);
  },
};

class Counter {
  #value;
  constructor(start) {
    this.#value = start;
  }
  add(by) {
    this.#value += by;
    return this.value();
  }
  value() {
    return this.#value;
  }
  static sized(text) {
    if (text === "") throw "empty";
    return new Counter(text.length);
  }
  static merged(first, second) {
    return new Counter(first.value() + second.value());
  }
}

export const counters = {
  Counter,
  largest: (all) => (all.length ? Math.max(...all.map((one) => one.value())) : null),
  several: (count) => Array.from({ length: count }, (_, at) => new Counter(at)),
  renamed: ({ name, counter }) => ({ name: `${name}!`, counter }),
  alive: () => 0,
};

export const client = {
  classified: (reading) => classify(reading),
  sameEvent: same,
  totals: (rows) => rows.map((row) => total(row)),
  tellAll: (all) => all.forEach((text) => tell(text)),
  logged(title, events) {
    const log = new Log(title);
    events.forEach((event) => log.add(event));
    return log;
  },
  lastLine: (log) => log.lines().at(-1) ?? null,
  both: (first, second) => Log.merged(first, second),
};

export const words = {
  sameStruct: same,
  sameUnion: same,
  return: (...all) => all.reduce((sum, one) => sum + one, 0),
  delete: (self) => self === "nil",
};

export const greet = (whom) => shout(`${name()} greets ${whom}`);
