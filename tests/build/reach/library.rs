//! Implements library.wit; each function is described there.
#[rustfmt::skip]
#[path = "../build/bindings/greeter/greeter.rs"]
mod bindings;

use bindings::acme::greeter::host::{self, Event, Level, Log, Reading};
use bindings::exports::acme::greeter::{client, counters, maybes, numbers, shapes, texts, words};
use std::cell::Cell;

struct Library;

impl bindings::Guest for Library {
    fn greet(name: String) -> String {
        bindings::shout(&format!("{} greets {name}", host::name()))
    }
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static ALIVE: Cell<u32> = const { Cell::new(0) };
}

impl numbers::Guest for Library {
    fn same_bool(value: bool) -> bool {
        value
    }

    fn same_u8(value: u8) -> u8 {
        value
    }

    fn same_u16(value: u16) -> u16 {
        value
    }

    fn same_u32(value: u32) -> u32 {
        value
    }

    fn same_u64(value: u64) -> u64 {
        value
    }

    fn same_s8(value: i8) -> i8 {
        value
    }

    fn same_s16(value: i16) -> i16 {
        value
    }

    fn same_s32(value: i32) -> i32 {
        value
    }

    fn same_s64(value: i64) -> i64 {
        value
    }

    fn same_f32(value: f32) -> f32 {
        value
    }

    fn same_f64(value: f64) -> f64 {
        value
    }

    fn same_char(value: char) -> char {
        value
    }

    fn same_bytes(value: Vec<u8>) -> Vec<u8> {
        value
    }

    fn same_rows(value: numbers::Rows) -> numbers::Rows {
        value
    }

    #[rustfmt::skip]
    fn twenty(
        a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: f32, j: f64, k: bool, l: String,
        m: u8, n: u16, o: u32, p: u64, q: i8, r: i16, s: String, t: String,
    ) -> (f64, String) {
        let unsigned = u64::from(a) + u64::from(b) + u64::from(c) + d + u64::from(k)
            + u64::from(m) + u64::from(n) + u64::from(o) + p;
        let signed = i64::from(e) + i64::from(f) + i64::from(g) + h + i64::from(q) + i64::from(r);
        (unsigned as f64 + signed as f64 + f64::from(i) + j, l + &s + &t)
    }

    fn count() {
        CALLS.set(CALLS.get() + 1);
    }

    fn counted() -> u32 {
        CALLS.get()
    }
}

impl texts::Guest for Library {
    fn same_string(value: String) -> String {
        value
    }

    fn same_strings(value: Vec<String>) -> Vec<String> {
        value
    }

    fn encoded(text: String) -> Vec<u8> {
        text.into_bytes()
    }

    fn joined(texts: Vec<String>, separator: String) -> String {
        texts.join(&separator)
    }
}

impl shapes::Guest for Library {
    fn same_point(value: shapes::Point) -> shapes::Point {
        value
    }

    fn same_segment(value: shapes::Segment) -> shapes::Segment {
        value
    }

    fn same_shape(value: shapes::Shape) -> shapes::Shape {
        value
    }

    fn same_shapes(value: Vec<shapes::Shape>) -> Vec<shapes::Shape> {
        value
    }

    fn same_colour(value: shapes::Colour) -> shapes::Colour {
        value
    }

    fn same_one(value: shapes::One) -> shapes::One {
        value
    }

    fn same_nine(value: shapes::Nine) -> shapes::Nine {
        value
    }

    fn same_most(value: shapes::Most) -> shapes::Most {
        value
    }

    fn same_pair(value: shapes::Pair) -> shapes::Pair {
        value
    }

    fn same_tuple(
        value: (u8, (String, char), Vec<shapes::Colour>),
    ) -> (u8, (String, char), Vec<shapes::Colour>) {
        value
    }

    fn looks(shape: shapes::Shape) -> Option<(shapes::Colour, u32)> {
        match shape {
            shapes::Shape::Dot => Some((shapes::Colour::Red, 1)),
            shapes::Shape::At(_) => Some((shapes::Colour::Green, 2)),
            shapes::Shape::Many(points) => Some((shapes::Colour::DarkBlue, points.len() as u32)),
            _ => None,
        }
    }

    fn turned(point: shapes::Point, marks: shapes::Nine) -> (shapes::Point, bool) {
        let turned = shapes::Point {
            x: point.y.round() as i32,
            y: f64::from(point.x),
        };
        (turned, marks.contains(shapes::Nine::A | shapes::Nine::I))
    }
}

impl maybes::Guest for Library {
    fn same_option(value: Option<u32>) -> Option<u32> {
        value
    }

    fn same_text(value: Option<String>) -> Option<String> {
        value
    }

    fn same_twice(value: Option<Option<u8>>) -> Option<Option<u8>> {
        value
    }

    fn same_list(value: Vec<Option<maybes::Point>>) -> Vec<Option<maybes::Point>> {
        value
    }

    fn same_both(value: Result<u32, String>) -> Result<u32, String> {
        value
    }

    fn same_ok(value: Result<maybes::Point, ()>) -> Result<maybes::Point, ()> {
        value
    }

    fn same_err(value: Result<(), String>) -> Result<(), String> {
        value
    }

    fn same_neither(value: Result<(), ()>) -> Result<(), ()> {
        value
    }

    fn same_outcomes(value: maybes::Outcomes) -> maybes::Outcomes {
        value
    }

    fn same_results(value: Vec<Result<String, u8>>) -> Vec<Result<String, u8>> {
        value
    }

    fn parsed(text: String) -> Result<u16, String> {
        text.parse().map_err(|_| format!("no number: {text}"))
    }
}

struct Count(Cell<u32>);

impl Count {
    fn starting(start: u32) -> Self {
        ALIVE.set(ALIVE.get() + 1);
        Count(Cell::new(start))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
    }
}

impl counters::GuestCounter for Count {
    fn new(start: u32) -> Self {
        Count::starting(start)
    }

    fn add(&self, by: u32) -> u32 {
        self.0.set(self.0.get() + by);
        self.0.get()
    }

    fn value(&self) -> u32 {
        self.0.get()
    }

    fn sized(text: String) -> Result<counters::Counter, String> {
        match text.len() {
            0 => Err("empty".to_string()),
            length => Ok(counters::Counter::new(Count::starting(length as u32))),
        }
    }

    fn merged(first: counters::Counter, second: counters::CounterBorrow) -> counters::Counter {
        let sum = first.get::<Count>().value() + second.get::<Count>().value();
        counters::Counter::new(Count::starting(sum))
    }
}

impl counters::Guest for Library {
    type Counter = Count;

    fn largest(counters: Vec<counters::CounterBorrow>) -> Option<u32> {
        use counters::GuestCounter;
        counters.iter().map(|one| one.get::<Count>().value()).max()
    }

    fn several(count: u32) -> Vec<counters::Counter> {
        let counters = (0..count).map(Count::starting);
        counters.map(counters::Counter::new).collect()
    }

    fn renamed(named: counters::Named) -> counters::Named {
        let name = named.name + "!";
        counters::Named { name, ..named }
    }

    fn alive() -> u32 {
        ALIVE.get()
    }
}

impl client::Guest for Library {
    fn classified(reading: Reading) -> Result<Level, String> {
        host::classify(&reading)
    }

    fn same_event(event: Event) -> Event {
        event
    }

    fn totals(rows: Vec<Vec<u64>>) -> Vec<u64> {
        rows.iter().map(|row| host::total(row)).collect()
    }

    fn tell_all(texts: Vec<String>) {
        texts.iter().for_each(|text| host::tell(text));
    }

    fn logged(name: String, events: Vec<Event>) -> Log {
        let log = Log::new(&name);
        if let Some((first, rest)) = events.split_first() {
            log.add(first);
            log.add_all(rest);
        }
        log
    }

    fn last_line(log: &Log) -> Option<String> {
        log.lines().pop()
    }

    fn both(first: Log, second: &Log) -> Log {
        Log::merged(first, second)
    }
}

impl words::Guest for Library {
    fn same_struct(type_: words::Struct) -> words::Struct {
        type_
    }

    fn same_union(class: words::Union) -> words::Union {
        class
    }

    fn return_(for_: u8, class: u8, fn_: u8, def: u8, var: u8, func: u8, await_: u8) -> u32 {
        let all = [for_, class, fn_, def, var, func, await_];
        all.into_iter().map(u32::from).sum()
    }

    fn delete(self_: words::Default) -> bool {
        matches!(self_, words::Default::Nil)
    }
}

bindings::export!(Library);
