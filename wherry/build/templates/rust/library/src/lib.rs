// Made from wit/@kebab@.wit by `wherry build`.
#[rustfmt::skip]
#[path = "../build/bindings/@kebab@/@snake@.rs"]
mod bindings;

struct Library;

impl bindings::Guest for Library {
    fn greet(name: String) -> String {
        format!("Hello, {name}!")
    }
}

bindings::export!(Library);
