//! What authors say of their interfaces, kept in the component so that bindings can say it too.
//!
//! A component has the types of its interfaces and not the comments on them. The build puts these into a custom section,
//! [`SECTION`]: JSON, an object of texts by what they are about. The keys are those of [`crate::model::World::docs`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Parser, Payload};
use wit_parser::{Docs, Resolve, TypeDefKind, TypeId, WorldItem, WorldKey};

use crate::error::{Error, Result};
use crate::source::Source;

/// The name of the custom section.
pub const SECTION: &str = "wherry:docs";

/// The longest section that is read, in bytes; what is longer is no documentation.
const LONGEST: usize = 4 << 20;

/// Texts by what they are about.
pub type Texts = BTreeMap<String, String>;

/// The component with what `source` says of the interfaces of its world; as it is where that is nothing.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are no component.
pub fn embed(mut component: Vec<u8>, source: &Source) -> Result<Vec<u8>> {
    let texts = collect(&source.resolve, source);
    if texts.is_empty() || read(&component)?.is_some() {
        return Ok(component);
    }
    let data = serde_json::to_vec(&texts).map_err(|error| Error::Invalid(error.to_string()))?;
    let section = CustomSection {
        name: SECTION.into(),
        data: Cow::Owned(data),
    };
    section.append_to_component(&mut component);
    Ok(component)
}

/// What a component says of its interfaces; `None` where it says nothing, or nothing that can be read.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are malformed.
pub fn read(component: &[u8]) -> Result<Option<Texts>> {
    // Components within the component have documentation of their own.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section)
                if depth == 1 && section.name() == SECTION && section.data().len() <= LONGEST =>
            {
                return Ok(serde_json::from_slice(section.data()).ok());
            }
            _ => {}
        }
    }
    Ok(None)
}

fn collect(resolve: &Resolve, source: &Source) -> Texts {
    let world = &resolve.worlds[source.world];
    let mut texts = Texts::new();
    say(&mut texts, String::new(), &world.docs);
    for (key, item) in world.imports.iter().chain(&world.exports) {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } => {
                let interface = &resolve.interfaces[*id];
                say(&mut texts, name.clone(), &interface.docs);
                for (item, id) in &interface.types {
                    defined(&mut texts, resolve, &format!("{name}#{item}"), *id);
                }
                for (item, function) in &interface.functions {
                    say(&mut texts, format!("{name}#{item}"), &function.docs);
                }
            }
            WorldItem::Function(function) => say(&mut texts, format!("#{}", function.name), &function.docs),
            WorldItem::Type { id, .. } => {
                if let WorldKey::Name(name) = key {
                    defined(&mut texts, resolve, &format!("#{name}"), *id);
                }
            }
        }
    }
    texts
}

/// What is said of a type and of what it has.
fn defined(texts: &mut Texts, resolve: &Resolve, name: &str, id: TypeId) {
    let ty = &resolve.types[id];
    say(texts, name.to_owned(), &ty.docs);
    let mut parts = |part: &str, docs: &Docs| say(texts, format!("{name}.{part}"), docs);
    match &ty.kind {
        TypeDefKind::Record(record) => record.fields.iter().for_each(|one| parts(&one.name, &one.docs)),
        TypeDefKind::Variant(variant) => variant.cases.iter().for_each(|one| parts(&one.name, &one.docs)),
        TypeDefKind::Enum(cases) => cases.cases.iter().for_each(|one| parts(&one.name, &one.docs)),
        TypeDefKind::Flags(flags) => flags.flags.iter().for_each(|one| parts(&one.name, &one.docs)),
        _ => {}
    }
}

fn say(texts: &mut Texts, key: String, docs: &Docs) {
    if let Some(text) = docs
        .contents
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        texts.insert(key, text.to_owned());
    }
}
