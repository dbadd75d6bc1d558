// Implements library.wit; each function is described there.
import { Level, Log, Reading, Event } from "../build/bindings/greeter/imports/host";
import * as host from "../build/bindings/greeter/imports/host";
import { Rows } from "../build/bindings/greeter/exports/numbers";
import {
  Colour,
  Most,
  Nine,
  One,
  Pair,
  Point,
  Segment,
  Shape,
  ShapeMany,
  ShapeTag,
} from "../build/bindings/greeter/exports/shapes";
import { Outcomes } from "../build/bindings/greeter/exports/maybes";
import { Named } from "../build/bindings/greeter/exports/counters";
import { Default, Struct, Union } from "../build/bindings/greeter/exports/words";
import { Result, Some, Tuple2, Tuple3, Unit } from "../build/bindings/greeter/wit";
import { shout } from "../build/bindings/greeter/world";

export function greet(name: string): string {
  return shout(`${host.name()} greets ${name}`);
}

let calls: u32 = 0;
let living: u32 = 0;

export namespace numbers {
  export function sameBool(value: bool): bool {
    return value;
  }
  export function sameU8(value: u8): u8 {
    return value;
  }
  export function sameU16(value: u16): u16 {
    return value;
  }
  export function sameU32(value: u32): u32 {
    return value;
  }
  export function sameU64(value: u64): u64 {
    return value;
  }
  export function sameS8(value: i8): i8 {
    return value;
  }
  export function sameS16(value: i16): i16 {
    return value;
  }
  export function sameS32(value: i32): i32 {
    return value;
  }
  export function sameS64(value: i64): i64 {
    return value;
  }
  export function sameF32(value: f32): f32 {
    return value;
  }
  export function sameF64(value: f64): f64 {
    return value;
  }
  export function sameChar(value: u32): u32 {
    return value;
  }
  export function sameBytes(value: Uint8Array): Uint8Array {
    return value;
  }
  export function sameRows(value: Rows): Rows {
    return value;
  }
  // prettier-ignore
  export function twenty(
    a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: f32, j: f64, k: bool, l: string,
    m: u8, n: u16, o: u32, p: u64, q: i8, r: i16, s: string, t: string,
  ): Tuple2<f64, string> {
    const unsigned = <u64>a + b + c + d + <u64>k + m + n + o + p;
    const signed = <i64>e + f + g + h + q + r;
    return new Tuple2(<f64>unsigned + <f64>signed + <f64>i + j, l + s + t);
  }
  export function count(): void {
    calls++;
  }
  export function counted(): u32 {
    return calls;
  }
}

export namespace texts {
  export function sameString(value: string): string {
    return value;
  }
  export function sameStrings(value: Array<string>): Array<string> {
    return value;
  }
  export function encoded(text: string): Uint8Array {
    return Uint8Array.wrap(String.UTF8.encode(text));
  }
  export function joined(texts: Array<string>, separator: string): string {
    return texts.join(separator);
  }
}

export namespace shapes {
  export function samePoint(value: Point): Point {
    return value;
  }
  export function sameSegment(value: Segment): Segment {
    return value;
  }
  export function sameShape(value: Shape): Shape {
    return value;
  }
  export function sameShapes(value: Array<Shape>): Array<Shape> {
    return value;
  }
  export function sameColour(value: Colour): Colour {
    return value;
  }
  export function sameOne(value: One): One {
    return value;
  }
  export function sameNine(value: Nine): Nine {
    return value;
  }
  export function sameMost(value: Most): Most {
    return value;
  }
  export function samePair(value: Pair): Pair {
    return value;
  }
  export function sameTuple(
    value: Tuple3<u8, Tuple2<string, u32>, Array<Colour>>,
  ): Tuple3<u8, Tuple2<string, u32>, Array<Colour>> {
    return value;
  }
  export function looks(shape: Shape): Tuple2<Colour, u32> | null {
    switch (shape.tag) {
      case ShapeTag.Dot:
        return new Tuple2(Colour.Red, 1);
      case ShapeTag.At:
        return new Tuple2(Colour.Green, 2);
      case ShapeTag.Many:
        return new Tuple2(Colour.DarkBlue, (<ShapeMany>shape).value.length);
      default:
        return null;
    }
  }
  export function turned(point: Point, marks: Nine): Tuple2<Point, bool> {
    const both = Nine.A | Nine.I;
    return new Tuple2(new Point(<i32>Math.round(point.y), point.x), (marks & both) == both);
  }
}

export namespace maybes {
  export function sameOption(value: Some<u32> | null): Some<u32> | null {
    return value;
  }
  export function sameText(value: string | null): string | null {
    return value;
  }
  export function sameTwice(value: Some<Some<u8> | null> | null): Some<Some<u8> | null> | null {
    return value;
  }
  export function sameList(value: Array<Point | null>): Array<Point | null> {
    return value;
  }
  export function sameBoth(value: Result<u32, string>): Result<u32, string> {
    return value;
  }
  export function sameOk(value: Result<Point, Unit>): Result<Point, Unit> {
    return value;
  }
  export function sameErr(value: Result<Unit, string>): Result<Unit, string> {
    return value;
  }
  export function sameNeither(value: Result<Unit, Unit>): Result<Unit, Unit> {
    return value;
  }
  export function sameOutcomes(value: Outcomes): Outcomes {
    return value;
  }
  export function sameResults(value: Array<Result<string, u8>>): Array<Result<string, u8>> {
    return value;
  }
  export function parsed(text: string): Result<u16, string> {
    let number: u32 = 0;
    for (let i = 0; i < text.length; ++i) {
      const digit = <u32>text.charCodeAt(i) - 48;
      if (digit > 9) return Result.err<u16, string>(`no digit: ${text}`);
      number = number * 10 + digit;
      if (number > <u32>u16.MAX_VALUE) return Result.err<u16, string>(`too large: ${text}`);
    }
    return text.length ? Result.ok<u16, string>(<u16>number) : Result.err<u16, string>("empty");
  }
}

export namespace counters {
  export class Counter {
    constructor(public count: u32) {
      living++;
    }
    add(by: u32): u32 {
      return (this.count += by);
    }
    value(): u32 {
      return this.count;
    }
    static sized(text: string): Result<Counter, string> {
      if (text.length == 0) return Result.err<Counter, string>("empty");
      return Result.ok<Counter, string>(new Counter(text.length));
    }
    static merged(first: Counter, second: Counter): Counter {
      const both = new Counter(first.count + second.count);
      // It was given away to this function, and nobody else has it.
      first.drop();
      return both;
    }
    drop(): void {
      living--;
    }
  }
  export function largest(counters: Array<Counter>): Some<u32> | null {
    if (counters.length == 0) return null;
    let most: u32 = 0;
    for (let i = 0; i < counters.length; ++i) most = max(most, counters[i].count);
    return new Some(most);
  }
  export function several(count: u32): Array<Counter> {
    const made: Array<Counter> = [];
    for (let i: u32 = 0; i < count; ++i) made.push(new Counter(i));
    return made;
  }
  export function renamed(named: Named): Named {
    return new Named(named.name + "!", named.counter);
  }
  export function alive(): u32 {
    return living;
  }
}

export namespace client {
  export function classified(reading: Reading): Result<Level, string> {
    return host.classify(reading);
  }
  export function sameEvent(event: Event): Event {
    return event;
  }
  export function totals(rows: Array<Array<u64>>): Array<u64> {
    return rows.map<u64>((row) => host.total(row));
  }
  export function tellAll(texts: Array<string>): void {
    texts.forEach((text) => host.tell(text));
  }
  export function logged(name: string, events: Array<Event>): Log {
    const log = new Log(name);
    if (events.length) {
      log.add(events[0]);
      log.addAll(events.slice(1));
    }
    return log;
  }
  export function lastLine(log: Log): string | null {
    const lines = log.lines();
    return lines.length ? lines[lines.length - 1] : null;
  }
  export function both(first: Log, second: Log): Log {
    return Log.merged(first, second);
  }
}

export namespace words {
  export function sameStruct(value: Struct): Struct {
    return value;
  }
  export function sameUnion(value: Union): Union {
    return value;
  }
  export function return_(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8): u32 {
    return <u32>a + b + c + d + e + f + g;
  }
  export function delete_(self: Default): bool {
    return self == Default.Nil;
  }
}
