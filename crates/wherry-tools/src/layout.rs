//! What a file is made of: its modules and components, the size of their sections, and who made it.
//!
//! Reads the frame of the file only. Nothing is validated and no code is looked at, so that it takes time and
//! memory in proportion to the file, whatever is in it. Start reading at [`layout`].

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;
use wasmparser::{CustomSectionReader, Encoding, KnownCustom, Parser, Payload};

use crate::error::{Error, Result};

/// How deep components may nest. Real ones nest three or four deep.
pub const DEEPEST: usize = 100;
/// How many modules and components one file may hold; the component model's own limit is 1,000 of each.
pub const MOST_PARTS: usize = 2_000;
/// How many kinds of section are told apart in one part; custom sections may have millions of names.
const MOST_LABELS: usize = 50;
/// What the custom sections beyond that are counted as.
const REST: &str = "custom, others";

/// The frame of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The file itself first, then what is nested in it, in the order of the file.
    pub parts: Vec<Part>,
    /// Languages, tools and libraries that say they had a part in it, each once.
    pub producers: Vec<Producer>,
}

/// A module or component, the outermost one or nested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which of the two it is.
    pub form: PartForm,
    /// The name that it carries.
    pub name: Option<String>,
    /// How many components it is nested in.
    pub depth: usize,
    /// Bytes in the file, with everything that is nested in it.
    pub size: u64,
    /// How many functions have a body here.
    pub functions: u32,
    /// The sizes of its own sections, added up by what they hold, in the order in which they begin.
    pub sections: Vec<Section>,
}

/// The two forms that WebAssembly comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartForm {
    /// A core module.
    Module,
    /// A component.
    Component,
}

/// What one part holds of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// `code`, `data`, `names`, `debug info`, `types`, ..., or `custom NAME`.
    pub name: String,
    /// Bytes in the file.
    pub size: u64,
}

/// A language, tool or library from the section `producers`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its version, which may be empty.
    pub version: String,
}

impl Layout {
    /// Whether the file is a core module.
    #[must_use]
    pub fn is_module(&self) -> bool {
        self.parts
            .first()
            .is_some_and(|part| part.form == PartForm::Module)
    }
}

/// Reads the frame of the module or component in `bytes`.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are malformed or cut short, [`Error::TooLarge`] above [`DEEPEST`] or
/// [`MOST_PARTS`].
pub fn layout(bytes: &[u8]) -> Result<Layout> {
    let mut reader = Reader::default();
    let mut size = bytes.len();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding, .. } => reader.open(*encoding, size)?,
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                size = within(bytes, unchecked_range);
            }
            Payload::CodeSectionStart { count, .. } => reader.add_functions(*count),
            Payload::CustomSection(section) => reader.read_custom(section),
            Payload::End(_) => {
                reader.open.pop();
            }
            _ => {}
        }
        reader.add_section(&payload);
    }
    if reader.layout.parts.is_empty() {
        return Err(Error::Invalid("the file is empty".to_owned()));
    }
    Ok(reader.layout)
}

/// How many bytes of a range lie in the file; the length that a nested part claims is not to be trusted.
fn within(bytes: &[u8], range: &Range<usize>) -> usize {
    range.end.min(bytes.len()).saturating_sub(range.start)
}

#[derive(Default)]
struct Reader {
    layout: Layout,
    known: BTreeSet<Producer>,
    /// The places of the parts that are being read, innermost last.
    open: Vec<usize>,
}

impl Reader {
    fn open(&mut self, encoding: Encoding, size: usize) -> Result<()> {
        if self.open.len() >= DEEPEST {
            return Err(Error::TooLarge(format!(
                "components nest more than {DEEPEST} deep"
            )));
        }
        if self.layout.parts.len() >= MOST_PARTS {
            return Err(Error::TooLarge(format!(
                "the file holds more than {MOST_PARTS} modules and components"
            )));
        }
        let form = match encoding {
            Encoding::Module => PartForm::Module,
            Encoding::Component => PartForm::Component,
        };
        self.layout.parts.push(Part {
            form,
            name: None,
            depth: self.open.len(),
            size: size as u64,
            functions: 0,
            sections: Vec::new(),
        });
        self.open.push(self.layout.parts.len() - 1);
        Ok(())
    }

    fn innermost(&mut self) -> Option<&mut Part> {
        let place = *self.open.last()?;
        self.layout.parts.get_mut(place)
    }

    fn add_functions(&mut self, count: u32) {
        if let Some(part) = self.innermost() {
            part.functions = part.functions.saturating_add(count);
        }
    }

    fn add_section(&mut self, payload: &Payload<'_>) {
        let Some((name, range)) = label(payload) else {
            return;
        };
        let Some(part) = self.innermost() else { return };
        let size = range.len() as u64;
        let known = part.sections.iter().position(|section| section.name == name);
        let place = known.unwrap_or_else(|| {
            if part.sections.len() < MOST_LABELS {
                part.sections.push(Section { name, size: 0 });
            } else if part.sections.len() == MOST_LABELS {
                part.sections.push(Section {
                    name: REST.to_owned(),
                    size: 0,
                });
            }
            part.sections.len() - 1
        });
        part.sections[place].size += size;
    }

    /// Takes names and producers out. What is malformed there is nobody's loss: engines ignore it too.
    fn read_custom(&mut self, section: &CustomSectionReader<'_>) {
        match section.as_known() {
            KnownCustom::Producers(fields) => {
                for field in fields.into_iter().map_while(Result::ok) {
                    for value in field.values.into_iter().map_while(Result::ok) {
                        let producer = Producer {
                            field: field.name.to_owned(),
                            name: value.name.to_owned(),
                            version: value.version.to_owned(),
                        };
                        if self.known.insert(producer.clone()) {
                            self.layout.producers.push(producer);
                        }
                    }
                }
            }
            KnownCustom::Name(names) => {
                for name in names.into_iter().map_while(Result::ok) {
                    if let wasmparser::Name::Module { name, .. } = name {
                        self.set_name(name);
                        break;
                    }
                }
            }
            KnownCustom::ComponentName(names) => {
                for name in names.into_iter().map_while(Result::ok) {
                    if let wasmparser::ComponentName::Component { name, .. } = name {
                        self.set_name(name);
                        break;
                    }
                }
            }
            _ => {}
        }
    }

    fn set_name(&mut self, name: &str) {
        if let Some(part) = self.innermost() {
            part.name = Some(name.to_owned());
        }
    }
}

/// What a section holds, and where; `None` for what is no section or is counted by itself.
fn label(payload: &Payload<'_>) -> Option<(String, Range<usize>)> {
    let name = match payload {
        Payload::CodeSectionStart { .. } => "code",
        Payload::DataSection(_) | Payload::DataCountSection { .. } => "data",
        Payload::TypeSection(_) | Payload::CoreTypeSection(_) | Payload::ComponentTypeSection(_) => "types",
        Payload::ImportSection(_) | Payload::ComponentImportSection(_) => "imports",
        Payload::ExportSection(_) | Payload::ComponentExportSection(_) => "exports",
        Payload::FunctionSection(_) => "function list",
        Payload::TableSection(_) | Payload::ElementSection(_) => "tables",
        Payload::MemorySection(_) | Payload::GlobalSection(_) | Payload::TagSection(_) => {
            "memories and globals"
        }
        Payload::StartSection { .. }
        | Payload::InstanceSection(_)
        | Payload::ComponentInstanceSection(_)
        | Payload::ComponentAliasSection(_)
        | Payload::ComponentCanonicalSection(_)
        | Payload::ComponentStartSection { .. } => "links",
        Payload::CustomSection(section) => return Some((custom(section.name()), section.range())),
        Payload::UnknownSection { range, .. } => return Some(("unknown".to_owned(), range.clone())),
        _ => return None,
    };
    payload.as_section().map(|(_, range)| (name.to_owned(), range))
}

/// What a custom section holds, by the names of the tool conventions.
fn custom(name: &str) -> String {
    match name {
        "name" | "component-name" => "names".to_owned(),
        "producers" | "target_features" => name.replace('_', " "),
        "sourceMappingURL" | "external_debug_info" => "debug info".to_owned(),
        _ if name.starts_with(".debug_") => "debug info".to_owned(),
        _ => format!("custom {name}"),
    }
}
