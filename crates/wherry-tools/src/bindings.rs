//! What a guest in some language is compiled against: source made from WIT by the generators of the Bytecode Alliance,
//! and by one of Wherry's own for AssemblyScript, which has none there.

mod cpp;
mod go;

use wit_bindgen_core::{Files, WorldGenerator};

use crate::assemblyscript;
use crate::error::{Error, Result};
use crate::quiet;
use crate::source::Source;
use crate::{crossing, declarations, supported};

/// Languages that bindings are generated for here; the others bring generators of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// AssemblyScript: classes, and a module that is compiled with the user's.
    AssemblyScript,
    /// C: a header, a source and an object file with the types of the world.
    C,
    /// C++: headers, a source and the same object file.
    Cpp,
    /// Go: packages below the module of the guest.
    Go,
    /// Rust: one module.
    Rust,
    /// JavaScript and TypeScript: declarations, and what the glue in their guests goes by.
    JavaScript,
}

impl Language {
    /// The language of a name as it stands in `wherry.toml`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "assemblyscript" => Some(Self::AssemblyScript),
            "c" => Some(Self::C),
            "cpp" => Some(Self::Cpp),
            "go" => Some(Self::Go),
            "rust" => Some(Self::Rust),
            "javascript" => Some(Self::JavaScript),
            _ => None,
        }
    }

    /// Whether a generator of others has a form for maps; Wherry's own look for themselves.
    fn maps(self) -> Option<bool> {
        match self {
            Self::C | Self::Cpp => Some(true),
            Self::Go | Self::Rust => Some(false),
            Self::AssemblyScript | Self::JavaScript => None,
        }
    }

    fn generator(self) -> Option<Box<dyn WorldGenerator>> {
        Some(match self {
            Self::AssemblyScript => Box::new(assemblyscript::Generator::default()),
            Self::C => wit_bindgen_c::Opts::default().build(),
            Self::Cpp => wit_bindgen_cpp::Opts::default().build(None),
            Self::Go => wit_bindgen_go::Opts {
                format: wit_bindgen_go::Format::False,
                ..Default::default()
            }
            .build(),
            Self::Rust => Box::new(
                wit_bindgen_rust::Opts {
                    generate_all: true,
                    pub_export_macro: true,
                    default_bindings_module: Some("crate::bindings".to_owned()),
                    ..Default::default()
                }
                .build(),
            ),
            Self::JavaScript => return None,
        })
    }
}

/// What the glue in a guest in JavaScript goes by, among what is generated for it.
pub const PLAN: &str = "plan.json";

/// The files for a guest that implements the world of `source`, each with its name.
///
/// # Errors
/// [`Error::Interface`] for what the generator of the language has no form for.
pub fn generate(mut source: Source, language: Language) -> Result<Vec<(String, Vec<u8>)>> {
    let world = source.world;
    let name = source.name().to_owned();
    let mut files = Files::default();
    let Some(mut generator) = language.generator() else {
        return for_javascript(&source);
    };
    if let Some(maps) = language.maps() {
        supported::check(&source.resolve, world, maps)
            .map_err(|why| Error::Interface(format!("world `{name}` has no form in this language: {why}")))?;
    }
    // Generators panic where they know no form for a type.
    quiet::quietly(|| {
        generator
            .generate(&mut source.resolve, world, &mut files)
            .map_err(|error| format!("{error:#}"))
    })
    .and_then(|done| done)
    .map_err(|why| Error::Interface(format!("world `{name}` has no form in this language: {why}")))?;
    files
        .iter()
        .map(|(name, bytes)| Ok((name.to_owned(), repaired(language, name, bytes)?)))
        .collect()
}

/// A file of the generator, without what is known to be wrong in it.
fn repaired(language: Language, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(bytes.to_vec());
    };
    Ok(match (language, name.rsplit('.').next()) {
        (Language::Go, Some("go")) => go::with_resources(text)?.into_bytes(),
        (Language::Cpp, Some("h")) => cpp::header(text).into_bytes(),
        (Language::Cpp, Some("cpp")) => cpp::source(text)?.into_bytes(),
        _ => bytes.to_vec(),
    })
}

fn for_javascript(source: &Source) -> Result<Vec<(String, Vec<u8>)>> {
    let (module, contract) = declarations::contract(source);
    let fits = serde_json::json!({"module": module, "type": contract, "values": crossing::plan(source)?});
    Ok(vec![
        (
            format!("{}.d.ts", source.name()),
            declarations::declarations(source)?.into_bytes(),
        ),
        (PLAN.to_owned(), fits.to_string().into_bytes()),
    ])
}

/// The module of Go, each file with its name, that generated Go imports as `go.bytecodealliance.org/pkg`.
pub const GO_MODULE: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/go_module.rs"));
