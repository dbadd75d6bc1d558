import { type Event, type Level, Log, type Reading, classify, name, tell, total } from "acme:greeter/host";
import type { Client } from "acme:greeter/client";
import type { Counters, Named } from "acme:greeter/counters";
import type { Maybes } from "acme:greeter/maybes";
import type { Numbers } from "acme:greeter/numbers";
import type { Nine, Point, Shape, Shapes } from "acme:greeter/shapes";
import type { Words } from "acme:greeter/words";

const same = <T>(value: T): T => value;
let calls = 0;

export const numbers: Numbers = {
  sameBool: same, sameU8: same, sameU16: same, sameU32: same, sameU64: same,
  sameS8: same, sameS16: same, sameS32: same, sameS64: same,
  sameF32: same, sameF64: same, sameChar: same, sameBytes: same, sameRows: same,
  twenty(...given) {
    let [sum, text] = [0, ""];
    for (const one of given) {
      if (typeof one === "string") text += one;
      else sum += Number(one);
    }
    return [sum, text];
  },
  count: () => void (calls += 1),
  counted: () => calls,
};

// Without a type of its own: it is held to the interface where it is exported.
export const texts = {
  sameString: (value: string) => value,
  sameStrings: (value: string[]) => value,
  encoded: (text: string): Uint8Array => new TextEncoder().encode(text),
  joined: (parts: string[], separator: string) => parts.join(separator),
};

export const shapes: Shapes = {
  samePoint: same, sameSegment: same, sameShape: same, sameShapes: same, sameColour: same,
  sameOne: same, sameNine: same, sameMost: same, samePair: same, sameTuple: same,
  looks(shape: Shape) {
    switch (shape.tag) {
      case "dot":
        return ["red", 1];
      case "at":
        return ["green", 2];
      case "many":
        return ["dark-blue", shape.val.length];
      default:
        return null;
    }
  },
  turned: ({ x, y }: Point, marks: Nine) => [{ x: Math.round(y), y: x }, Boolean(marks.a && marks.i)],
};

export const maybes: Maybes = {
  sameOption: same, sameText: same, sameTwice: same, sameList: same, sameOutcomes: same, sameResults: same,
  sameBoth(value) {
    if (value.tag === "err") throw value.val;
    return value.val;
  },
  sameOk(value) {
    if (value.tag === "err") throw undefined;
    return value.val;
  },
  sameErr(value) {
    if (value.tag === "err") throw value.val;
  },
  sameNeither(value) {
    if (value.tag === "err") throw undefined;
  },
  parsed(text) {
    if (!/^[0-9]+$/.test(text) || Number(text) > 65535) throw `${text} is no number`;
    return Number(text);
  },
};

class Counter {
  #value: number;
  constructor(start: number) {
    this.#value = start;
  }
  add(by: number): number {
    this.#value += by;
    return this.value();
  }
  value(): number {
    return this.#value;
  }
  static sized(text: string): Counter {
    if (text === "") throw "empty";
    return new Counter(text.length);
  }
  static merged(first: Pick<Counter, "value">, second: Pick<Counter, "value">): Counter {
    return new Counter(first.value() + second.value());
  }
}

export const counters: Counters = {
  Counter,
  largest: (all) => (all.length ? Math.max(...all.map((one) => one.value())) : null),
  several: (count) => Array.from({ length: count }, (_, at) => new Counter(at)),
  renamed: ({ name, counter }: Named) => ({ name: `${name}!`, counter }),
  alive: () => 0,
};

export const client: Client = {
  classified: (reading: Reading): Level => classify(reading),
  sameEvent: (event: Event) => event,
  totals: (rows) => rows.map((row) => total(row)),
  tellAll: (all) => all.forEach((text) => tell(text)),
  logged(title, events) {
    const log = new Log(title);
    for (const event of events) log.add(event);
    return log;
  },
  lastLine: (log) => log.lines().at(-1) ?? null,
  both: (first, second) => Log.merged(first, second),
};

export const words: Words = {
  sameStruct: same,
  sameUnion: same,
  return: (...all) => all.reduce((sum, one) => sum + one, 0),
  delete: (self) => self === "nil",
};

export function greet(whom: string): string {
  return shout(`${name()} greets ${whom}`);
}
