//! Gives back what it is given, in every sort of type; imports an interface and exports a resource.
#[rustfmt::skip]
#[path = "../build/bindings/greeter/greeter.rs"]
mod bindings;

use bindings::acme::greeter::host;
use bindings::exports::acme::greeter::shapes::*;
use std::cell::Cell;

struct Library;
struct Count(Cell<u32>);

impl GuestCounter for Count {
    fn new(start: u32) -> Self {
        Count(Cell::new(start))
    }

    fn add(&self, by: u32) -> u32 {
        self.0.set(self.0.get() + by);
        self.0.get()
    }
}

impl Guest for Library {
    type Counter = Count;

    fn mirror(s: Shape) -> Shape {
        s
    }

    fn pair(t: (u8, String), o: Option<char>) -> Result<(String, u8), String> {
        o.map(|_| (t.1, t.0)).ok_or("none".to_string())
    }

    fn tint(c: Colour, m: Marks) -> (Marks, Colour) {
        (m, c)
    }
}

impl bindings::Guest for Library {
    fn greet(name: String) -> String {
        format!("{} {name}", host::name())
    }
}

bindings::export!(Library);
