//! What is kept with a named WIT type for Python: field names as Python spells them, case names as WIT does.

use crate::typed::Typed;
use pyo3::prelude::*;
use pyo3::types::PyString;
use wherry_engine::values::Named;

/// The names of one record, variant, enum or flags.
pub struct Names {
    /// The name of the type, in WIT; empty where the component does not tell.
    pub type_name: String,
    /// Fields in snake case, cases and flags as in WIT; interned.
    pub python: Vec<Py<PyString>>,
    /// The names in WIT.
    pub wit: Vec<String>,
    /// Fields that mappings have a method of the same name for, so that the attribute is not the field.
    pub shadowed: Vec<bool>,
    /// Classes of generated bindings that stand for the type; of several, which have the same members, values that come out
    /// of a guest are of the first.
    pub typed: Vec<Typed>,
}

/// The methods of mappings.
const MAPPING: [&str; 11] = [
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

impl Names {
    /// Prepares the names of a type.
    pub fn new(py: Python<'_>, kind: Named, type_name: Option<&str>, names: &[&str]) -> Self {
        let python = names.iter().map(|name| match kind {
            Named::Record => PyString::intern(py, &attribute(name)).unbind(),
            _ => PyString::intern(py, name).unbind(),
        });
        Self {
            type_name: type_name.unwrap_or_default().to_owned(),
            python: python.collect(),
            wit: names.iter().map(|&name| name.to_owned()).collect(),
            shadowed: names.iter().map(|name| MAPPING.contains(name)).collect(),
            typed: Vec::new(),
        }
    }

    /// The place of a name, in WIT's or in Python's spelling.
    pub fn find(&self, name: &str) -> Option<usize> {
        let exact = self.wit.iter().position(|wit| wit == name);
        exact.or_else(|| self.wit.iter().position(|wit| attribute(wit) == name))
    }
}

/// Python's reserved words, which get an underscore behind them (PEP 8).
const RESERVED: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// A name of WIT as a Python attribute, by the rule of `wherry/wit/names.py`: `max-size` becomes `max_size`, `from` becomes
/// `from_`.
pub fn attribute(wit: &str) -> String {
    let mut name = wit.replace('-', "_").to_lowercase();
    if RESERVED.contains(&name.as_str()) {
        name.push('_');
    }
    name
}
