//! Values on paper: as WAVE, and as JSON for programs.
//!
//! `wasm-wave` writes values with types; these have none any more, and are written here by the same grammar.

use super::Value;
use std::fmt::Write;

/// The words of WAVE that a name must be told from, by a `%` in front.
const KEYWORDS: [&str; 8] = ["true", "false", "some", "none", "ok", "err", "inf", "nan"];

/// A value in WAVE.
#[must_use]
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    wave(&mut out, value);
    out
}

fn wave(out: &mut String, value: &Value) {
    match value {
        Value::Nothing => {}
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(digits) => out.push_str(digits),
        Value::Char(value) => {
            out.push('\'');
            character(out, *value);
            out.push('\'');
        }
        Value::String(text) => {
            out.push('"');
            text.chars().for_each(|value| character(out, value));
            out.push('"');
        }
        Value::List(items) => enclosed(out, ('[', ']'), items, wave),
        Value::Tuple(items) => enclosed(out, ('(', ')'), items, wave),
        // `{}` would be flags.
        Value::Record(fields) if fields.is_empty() => out.push_str("{:}"),
        Value::Record(fields) => enclosed(out, ('{', '}'), fields, |out, (name, value)| {
            let _ = write!(out, "{name}: ");
            wave(out, value);
        }),
        Value::Case(name, payload) => {
            if KEYWORDS.contains(&name.as_str()) {
                out.push('%');
            }
            case(out, name, payload.as_deref());
        }
        Value::Flags(names) => enclosed(out, ('{', '}'), names, |out, name| out.push_str(name)),
        Value::Option { payload: None, .. } => out.push_str("none"),
        Value::Option { payload, .. } => case(out, "some", payload.as_deref()),
        Value::Result(Ok(payload)) => case(out, "ok", Some(payload)),
        Value::Result(Err(payload)) => case(out, "err", Some(payload)),
        Value::Map(entries) => enclosed(out, ('[', ']'), entries, |out, (key, value)| {
            out.push('(');
            wave(out, key);
            out.push_str(", ");
            wave(out, value);
            out.push(')');
        }),
    }
}

fn case(out: &mut String, name: &str, payload: Option<&Value>) {
    out.push_str(name);
    if let Some(payload) = payload.filter(|payload| **payload != Value::Nothing) {
        out.push('(');
        wave(out, payload);
        out.push(')');
    }
}

/// One character of a string; both kinds of quotes are escaped in both.
fn character(out: &mut String, value: char) {
    match value {
        '\\' | '"' | '\'' => out.extend(['\\', value]),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        control if control.is_control() => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(control));
        }
        other => out.push(other),
    }
}

/// Items with commas between them, and brackets round all.
fn enclosed<T>(out: &mut String, (open, close): (char, char), items: &[T], item: impl Fn(&mut String, &T)) {
    out.push(open);
    for (index, each) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        item(out, each);
    }
    out.push(close);
}

/// A value in JSON.
///
/// | WIT | JSON |
/// |---|---|
/// | integers, floats | number, in all digits; `"NaN"`, `"Infinity"`, `"-Infinity"` |
/// | char, string | string |
/// | list, tuple, `list<u8>` too | array |
/// | record | object |
/// | enum, case without payload | `"case"` |
/// | case with payload | `{"case": payload}` |
/// | flags | array of the names that are set |
/// | option | `null` or the value; `{"some": ...}` where an option holds an option |
/// | result | `{"ok": ...}` or `{"err": ...}`, with `null` for no payload |
/// | map | object when the keys are strings, else an array of pairs |
#[must_use]
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    put_json(&mut out, value);
    out
}

fn put_json(out: &mut String, value: &Value) {
    match value {
        Value::Nothing | Value::Option { payload: None, .. } => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(digits) => match digits.as_str() {
            "nan" => out.push_str("\"NaN\""),
            "inf" => out.push_str("\"Infinity\""),
            "-inf" => out.push_str("\"-Infinity\""),
            digits => out.push_str(digits),
        },
        Value::Char(value) => quoted(out, &value.to_string()),
        Value::String(text) => quoted(out, text),
        Value::List(items) | Value::Tuple(items) => enclosed(out, ('[', ']'), items, put_json),
        Value::Record(fields) => enclosed(out, ('{', '}'), fields, |out, (name, value)| {
            entry(out, name, value);
        }),
        Value::Case(name, None) => quoted(out, name),
        Value::Case(name, Some(payload)) => object(out, name, payload),
        Value::Flags(names) => enclosed(out, ('[', ']'), names, |out, name| quoted(out, name)),
        Value::Option {
            payload: Some(payload),
            wrapped: false,
        } => put_json(out, payload),
        Value::Option {
            payload: Some(payload),
            wrapped: true,
        } => object(out, "some", payload),
        Value::Result(Ok(payload)) => object(out, "ok", payload),
        Value::Result(Err(payload)) => object(out, "err", payload),
        Value::Map(entries) if entries.iter().all(|(key, _)| matches!(key, Value::String(_))) => {
            enclosed(out, ('{', '}'), entries, |out, (key, value)| {
                if let Value::String(key) = key {
                    entry(out, key, value);
                }
            });
        }
        Value::Map(entries) => enclosed(out, ('[', ']'), entries, |out, (key, value)| {
            out.push('[');
            put_json(out, key);
            out.push_str(", ");
            put_json(out, value);
            out.push(']');
        }),
    }
}

/// An object with one member.
fn object(out: &mut String, name: &str, value: &Value) {
    out.push('{');
    entry(out, name, value);
    out.push('}');
}

fn entry(out: &mut String, name: &str, value: &Value) {
    quoted(out, name);
    out.push_str(": ");
    put_json(out, value);
}

fn quoted(out: &mut String, text: &str) {
    // A string has a form in JSON whatever is in it.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::super::{Wave, parse};
    use super::*;
    use crate::values::{Port, Scalar};

    #[test]
    fn what_is_written_reads_back() {
        for source in [
            "true",
            "18446744073709551615",
            "[-3.5, 0, inf, nan, -inf]",
            "['\u{2603}', '\\n', '\\'']",
            "\"a \\\"quoted\\\" word\\t\\u{7}\"",
            "(1, false)",
            "{:}",
            "{code: red, deep: {x: 1}}",
            "{a, b}",
            "{}",
            "left(1)",
            "[some(1), none]",
            "[ok(1), err(2), ok]",
            "%none(none)",
        ] {
            let value = parse(source).expect(source);
            assert_eq!(text(&value), source);
        }
    }

    #[test]
    fn json_follows_its_table() {
        for (source, expected) in [
            ("18446744073709551615", "18446744073709551615"),
            (
                "[nan, inf, -inf, 1e300]",
                r#"["NaN", "Infinity", "-Infinity", 1e300]"#,
            ),
            (r#"("a\n", 'b')"#, r#"["a\n", "b"]"#),
            ("{a: some(1), b: none}", r#"{"a": 1, "b": null}"#),
            ("[red, blue(2)]", r#"["red", {"blue": 2}]"#),
            ("{read, write}", r#"["read", "write"]"#),
            ("[ok, err(3)]", r#"[{"ok": null}, {"err": 3}]"#),
        ] {
            assert_eq!(json(&parse(source).expect(source)), expected);
        }
        let one = || Box::new(Value::Number("1".into()));
        let nested = Value::Option {
            payload: Some(one()),
            wrapped: true,
        };
        assert_eq!(json(&nested), r#"{"some": 1}"#);
        assert_eq!(
            json(&Value::Map(vec![(Value::String("k".into()), *one())])),
            r#"{"k": 1}"#
        );
        assert_eq!(
            json(&Value::Map(vec![(*one(), Value::Bool(true))])),
            "[[1, true]]"
        );
    }

    #[test]
    fn scalars_keep_their_bits() {
        for (scalar, bits) in [
            (Scalar::S8, 0xffff_ff80),
            (Scalar::S16, 0xffff_8000),
            (Scalar::S32, 0x8000_0000),
            (Scalar::S64, 1 << 63),
            (Scalar::U64, u64::MAX),
            (Scalar::F32, u64::from(f32::MIN_POSITIVE.to_bits())),
            (Scalar::F64, f64::MAX.to_bits()),
            (Scalar::F64, (-0.0_f64).to_bits()),
            (Scalar::Char, 0x1f44b),
        ] {
            let value = Wave::from_scalar((), scalar, bits);
            let read = parse(&text(&value)).expect("what was written");
            assert_eq!(Wave::scalar(&read, scalar).expect("in range"), bits, "{value:?}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (digits, scalar) in [
            ("256", Scalar::U8),
            ("-1", Scalar::U32),
            ("1.5", Scalar::S32),
            ("nan", Scalar::U8),
        ] {
            assert!(
                Wave::scalar(&Value::Number(digits.into()), scalar).is_err(),
                "{digits}"
            );
        }
    }
}
