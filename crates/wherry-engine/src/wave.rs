//! Values as people write them: WAVE, the text encoding of the component model's values.
//!
//! [`Wave`] is the port of `wherry run --invoke`: arguments come from the parsed text, results become [`Value`]s, and both
//! go through the one lowering and lifting of [`crate::values`]. WAVE has no form for a map; here it is a list of pairs.
//! [`print`] writes values, as WAVE and as JSON.

mod port;
mod print;

pub use port::Wave;
pub use print::{json, text};

use wasm_wave::ast::{Node, NodeType};
use wasm_wave::parser::{Parser, ParserError};

/// A value without its type, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value: a function without a result, a case without a payload, a field that was left out.
    Nothing,
    /// `true` or `false`
    Bool(bool),
    /// An integer or float, in digits; the type decides what it is.
    Number(String),
    /// One character.
    Char(char),
    /// Text.
    String(String),
    /// Elements of one type.
    List(Vec<Value>),
    /// Elements of types of their own.
    Tuple(Vec<Value>),
    /// Fields by name.
    Record(Vec<(String, Value)>),
    /// A case of a variant or enum, and its payload.
    Case(String, Option<Box<Value>>),
    /// The names that are set.
    Flags(Vec<String>),
    /// An option; wrapped when its payload is an option too.
    Option {
        /// What it holds.
        payload: Option<Box<Value>>,
        /// Whether the bare payload would be ambiguous.
        wrapped: bool,
    },
    /// A result, and its payload or [`Value::Nothing`].
    Result(Result<Box<Value>, Box<Value>>),
    /// Keys and values.
    Map(Vec<(Value, Value)>),
}

/// Reads one value.
///
/// # Errors
/// Where the text is no WAVE, and at which bytes.
pub fn parse(source: &str) -> Result<Value, ParserError> {
    let mut parser = Parser::new(source);
    let parsed = parser.parse_raw_value()?;
    parser.finish()?;
    value(parsed.node(), source)
}

fn value(node: &Node, source: &str) -> Result<Value, ParserError> {
    let boxed = |node: &Node| value(node, source).map(Box::new);
    Ok(match node.ty() {
        NodeType::BoolTrue | NodeType::BoolFalse => Value::Bool(node.as_bool()?),
        NodeType::Number => Value::Number(source[node.span()].to_owned()),
        NodeType::Char => Value::Char(node.as_char(source)?),
        NodeType::String | NodeType::MultilineString => Value::String(node.as_str(source)?.into_owned()),
        NodeType::Tuple => Value::Tuple(values(node.as_tuple()?, source)?),
        NodeType::List => Value::List(values(node.as_list()?, source)?),
        NodeType::Record => {
            let fields = node.as_record(source)?;
            let field = |(name, node): (&str, &Node)| Ok((name.to_owned(), value(node, source)?));
            Value::Record(fields.map(field).collect::<Result<_, _>>()?)
        }
        NodeType::Label | NodeType::VariantWithPayload => {
            let (label, payload) = node.as_variant(source)?;
            Value::Case(label.to_owned(), payload.map(boxed).transpose()?)
        }
        NodeType::OptionSome | NodeType::OptionNone => Value::Option {
            payload: node.as_option()?.map(boxed).transpose()?,
            wrapped: false,
        },
        NodeType::ResultOk | NodeType::ResultErr => {
            let payload = |node: Option<&Node>| node.map_or_else(|| Ok(Box::new(Value::Nothing)), boxed);
            Value::Result(match node.as_result()? {
                Ok(node) => Ok(payload(node)?),
                Err(node) => Err(payload(node)?),
            })
        }
        NodeType::Flags => {
            let plain = |name: &str| name.strip_prefix('%').unwrap_or(name).to_owned();
            Value::Flags(node.as_flags(source)?.map(plain).collect())
        }
    })
}

fn values<'n>(nodes: impl Iterator<Item = &'n Node>, source: &str) -> Result<Vec<Value>, ParserError> {
    nodes.map(|node| value(node, source)).collect()
}
