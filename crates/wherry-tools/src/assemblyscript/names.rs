//! Names: those of WIT as AssemblyScript writes them, and those of exports that AssemblyScript cannot write.

use std::collections::HashSet;
use std::fmt::Write as _;

use heck::{ToLowerCamelCase as _, ToUpperCamelCase as _};

use crate::javascript::WORDS;

/// What a name cannot be beside the words of JavaScript: more words of the language, its types of numbers, and what
/// generated source uses as it stands.
const RESERVED: &[&str] = &[
    "Array",
    "Map",
    "Result",
    "Some",
    "Uint8Array",
    "Unit",
    "abstract",
    "anyref",
    "async",
    "bool",
    "boolean",
    "constructor",
    "declare",
    "f32",
    "f64",
    "i16",
    "i32",
    "i64",
    "i8",
    "isDefined",
    "isize",
    "memory",
    "number",
    "of",
    "override",
    "readonly",
    "string",
    "symbol",
    "u16",
    "u32",
    "u64",
    "u8",
    "undefined",
    "usize",
    "v128",
];

/// The name of a function, a field or a parameter.
pub(super) fn camel(name: &str) -> String {
    free(name.to_lower_camel_case())
}

/// The name of a type or a case.
pub(super) fn pascal(name: &str) -> String {
    free(name.to_upper_camel_case())
}

/// The name of what stands in an enum, or the end of a longer name: it may be any.
pub(super) fn member(name: &str) -> String {
    name.to_upper_camel_case()
}

fn free(name: String) -> String {
    let tuple = name
        .strip_prefix("Tuple")
        .is_some_and(|rest| rest.parse::<usize>().is_ok());
    if tuple || WORDS.contains(&name.as_str()) || RESERVED.contains(&name.as_str()) {
        name + "_"
    } else {
        name
    }
}

/// The names of one scope, each given once.
#[derive(Debug, Default, Clone)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Whether nothing has the name yet.
    pub(super) fn is_free(&self, name: &str) -> bool {
        !self.0.contains(name)
    }

    /// The name itself, or one like it that is free.
    pub(super) fn claim(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

/// What begins the name of an export that stands for another.
const STANDS_FOR: &str = "wit$";

/// An identifier that stands for the name of an export, which may hold any character.
pub(super) fn identifier(export: &str) -> String {
    let mut written = STANDS_FOR.to_owned();
    for byte in export.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "${byte:02x}");
        }
    }
    written
}

/// The name that an identifier stands for, if it is one of [`identifier`].
pub(crate) fn stood_for(name: &str) -> Option<String> {
    let mut parts = name.strip_prefix(STANDS_FOR)?.split('$');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{Names, camel, identifier, pascal, stood_for};

    #[test]
    fn identifiers_stand_for_names_with_any_character() {
        for name in ["greet", "cabi_post_a:b/c@1.0.0#[method]d.e-f", "", "$", "é"] {
            let written = identifier(name);
            assert!(
                written
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
            );
            assert_eq!(stood_for(&written).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_names_stand_for_themselves() {
        for name in ["memory", "_initialize", "wit", "wit$a$", "wit$a$zz", "wit$$é"] {
            assert_eq!(stood_for(name), None, "{name}");
        }
    }

    #[test]
    fn words_of_the_language_are_no_names() {
        assert_eq!(
            (camel("dark-blue").as_str(), pascal("dark-blue").as_str()),
            ("darkBlue", "DarkBlue")
        );
        assert_eq!(
            (camel("delete").as_str(), pascal("map").as_str()),
            ("delete_", "Map_")
        );
        assert_eq!(pascal("tuple2"), "Tuple2_");
        let mut names = Names::default();
        assert_eq!(
            [names.claim("a"), names.claim("a"), names.claim("a")],
            ["a", "a_", "a__"]
        );
    }
}
