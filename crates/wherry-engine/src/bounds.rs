//! Static bounds, checked before anything is compiled.
//!
//! A compiler's time and memory grow with what it is given, and some modules of honest origin make it run for
//! minutes and then fail. [`check`] walks over a binary once without validating it, counts, and refuses what is
//! over the [`Bounds`]; on the way it notes in a [`Shape`] what the loader has to know before it can choose an
//! engine. Start reading at [`check`].

use rayon::prelude::*;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentDefinedType, ComponentType, ComponentTypeDeclaration,
    FunctionBody, InstanceTypeDeclaration, Operator, Parser, Payload, TypeRef,
};

use crate::error::{Error, Kind, Result};
use crate::recognise::Form;

/// The largest binary that is looked at, compiled or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Functions with a body, in all modules of a component together.
    pub functions: u64,
    /// Bytes of the largest body.
    pub body: u64,
    /// Levels of blocks inside one body, and of components inside one another.
    pub nesting: u64,
    /// Bytes of the whole file.
    pub size: u64,
}

impl Default for Bounds {
    /// Generous: programs of 50 MB with 100,000 functions pass.
    fn default() -> Self {
        Self { functions: 250_000, body: 4 << 20, nesting: 1_000, size: 256 << 20 }
    }
}

/// A generation of the WASI interfaces that a binary imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// `wasi_unstable`, from before 0.1.
    Unstable,
    /// 0.1: `wasi_snapshot_preview1`.
    V0_1,
    /// 0.2: components.
    V0_2,
    /// 0.3: components with asynchronous functions.
    V0_3,
}

/// What a binary is, as far as can be told without validating it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Component or core module.
    pub form: Form,
    /// What was counted, in the terms of the bounds.
    pub measured: Bounds,
    /// Bytes of all function bodies together: what compiling takes time for.
    pub code: u64,
    /// Whether the asynchronous machinery of components is needed.
    pub concurrency: bool,
    /// Which generations of WASI are imported, oldest first.
    pub wasi: Vec<Generation>,
    /// What is imported: `(module, name)` of a core module; the name, and an empty string, of a component.
    pub imports: Vec<(String, String)>,
    /// The names under which things are exported.
    pub exports: Vec<String>,
    /// Whether shared memory, and with it threads, is used.
    pub threads: bool,
}

/// Walks over `bytes`, a component or core module in binary form, and refuses what is over `bounds`.
///
/// # Errors
/// [`Kind::TooLarge`] for what is over a bound and [`Kind::Invalid`] for what cannot be walked over.
pub fn check(bytes: &[u8], bounds: &Bounds) -> Result<Shape> {
    let size = bytes.len() as u64;
    at_most("bytes in all", size, bounds.size, "--max-size")?;
    let mut walk = Walk::new(bounds);
    for payload in Parser::new(0).parse_all(bytes) {
        walk.visit(payload.map_err(invalid)?)?;
    }
    let nesting = deepest(&walk.bodies, bounds.nesting)?;
    let mut shape = walk.shape;
    shape.measured.size = size;
    shape.measured.nesting = shape.measured.nesting.max(nesting);
    shape.wasi.sort_unstable();
    shape.wasi.dedup();
    Ok(shape)
}

/// Refuses `measured` where it is over `bounds`: for compiled code, whose source was measured earlier.
///
/// # Errors
/// [`Kind::TooLarge`].
pub fn within(measured: &Bounds, bounds: &Bounds) -> Result<()> {
    at_most("bytes in all", measured.size, bounds.size, "--max-size")?;
    at_most("functions", measured.functions, bounds.functions, "--max-functions")?;
    at_most("bytes in one function", measured.body, bounds.body, "--max-body")?;
    at_most("levels of nesting", measured.nesting, bounds.nesting, "--max-nesting")
}

fn at_most(what: &str, found: u64, bound: u64, flag: &str) -> Result<()> {
    if found <= bound {
        return Ok(());
    }
    Err(Error::new(Kind::TooLarge, format!("too large to compile: {found} {what}, the bound is {bound}"))
        .with_hint(format!("raise it with `{flag} {found}` if you trust this file, and expect a long wait")))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn invalid(error: wasmparser::BinaryReaderError) -> Error {
    Error::new(Kind::Invalid, format!("not valid WebAssembly: {} at byte {:#x}", error.message(), error.offset()))
}

/// The state of one walk over the payloads of a binary and all that is nested in it.
struct Walk<'a, 'b> {
    bounds: &'b Bounds,
    shape: Shape,
    bodies: Vec<FunctionBody<'a>>,
    depth: u64,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(bounds: &'b Bounds) -> Self {
        let shape = Shape {
            form: Form::Module,
            measured: Bounds { functions: 0, body: 0, nesting: 0, size: 0 },
            code: 0,
            concurrency: false,
            wasi: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            threads: false,
        };
        Self { bounds, shape, bodies: Vec::new(), depth: 0 }
    }

    /// Whether the walk is in the outermost module or component.
    fn outermost(&self) -> bool {
        self.depth == 1
    }

    fn visit(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::Version { encoding, .. } => self.enter(encoding)?,
            Payload::End(_) => self.depth -= 1,
            Payload::CodeSectionStart { count, .. } => {
                self.shape.measured.functions += u64::from(count);
                at_most("functions", self.shape.measured.functions, self.bounds.functions, "--max-functions")?;
            }
            Payload::CodeSectionEntry(body) => self.body(body)?,
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(invalid)?;
                    self.import(import.module, import.name, &import.ty);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.shape.threads |= memory.map_err(invalid)?.shared;
                }
            }
            Payload::ExportSection(exports) if self.outermost() => {
                for export in exports {
                    self.shape.exports.push(export.map_err(invalid)?.name.to_owned());
                }
            }
            other => self.visit_component(other)?,
        }
        Ok(())
    }

    fn visit_component(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let name = import.map_err(invalid)?.name.name;
                    self.component_import(name);
                }
            }
            Payload::ComponentExportSection(exports) if self.outermost() => {
                for export in exports {
                    self.shape.exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    self.shape.concurrency |= function_is_async(&function.map_err(invalid)?);
                }
            }
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    self.shape.concurrency |= type_is_async(&ty.map_err(invalid)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, encoding: wasmparser::Encoding) -> Result<()> {
        self.depth += 1;
        at_most("levels of nesting", self.depth, self.bounds.nesting, "--max-nesting")?;
        self.shape.measured.nesting = self.shape.measured.nesting.max(self.depth);
        if self.outermost() && encoding == wasmparser::Encoding::Component {
            self.shape.form = Form::Component;
        }
        Ok(())
    }

    fn body(&mut self, body: FunctionBody<'a>) -> Result<()> {
        let size = body.as_bytes().len() as u64;
        at_most("bytes in one function", size, self.bounds.body, "--max-body")?;
        self.shape.measured.body = self.shape.measured.body.max(size);
        self.shape.code += size;
        self.bodies.push(body);
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str, ty: &TypeRef) {
        if let TypeRef::Memory(memory) = ty {
            self.shape.threads |= memory.shared;
        }
        if !self.outermost() {
            return;
        }
        match module {
            "wasi_unstable" => self.shape.wasi.push(Generation::Unstable),
            "wasi_snapshot_preview1" => self.shape.wasi.push(Generation::V0_1),
            _ => {}
        }
        self.shape.imports.push((module.to_owned(), name.to_owned()));
    }

    fn component_import(&mut self, name: &str) {
        if !self.outermost() {
            return;
        }
        if name.starts_with("wasi:") {
            match name.split_once('@').map(|(_, version)| version) {
                Some(version) if version.starts_with("0.2.") => self.shape.wasi.push(Generation::V0_2),
                Some(version) if version.starts_with("0.3.") => {
                    self.shape.wasi.push(Generation::V0_3);
                    self.shape.concurrency = true;
                }
                _ => {}
            }
        }
        self.shape.imports.push((name.to_owned(), String::new()));
    }
}

/// Whether a canonical function is there for asynchronous calls only.
fn function_is_async(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options
            .iter()
            .any(|option| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_))),
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        _ => true,
    }
}

/// Whether a type, or one declared inside it, can only be had with the asynchronous machinery.
///
/// The parser bounds how deep types may be declared in one another, and so the recursion here.
fn type_is_async(ty: &ComponentType<'_>) -> bool {
    match ty {
        ComponentType::Defined(defined) => {
            matches!(defined, ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_))
        }
        ComponentType::Func(function) => function.async_,
        ComponentType::Component(declarations) => declarations.iter().any(|declaration| match declaration {
            ComponentTypeDeclaration::Type(ty) => type_is_async(ty),
            _ => false,
        }),
        ComponentType::Instance(declarations) => declarations.iter().any(|declaration| match declaration {
            InstanceTypeDeclaration::Type(ty) => type_is_async(ty),
            _ => false,
        }),
        ComponentType::Resource { .. } => false,
    }
}

/// The deepest nesting of blocks in any of `bodies`, or an error where one is over `bound`.
fn deepest(bodies: &[FunctionBody<'_>], bound: u64) -> Result<u64> {
    crate::compile::in_pool(|| {
        bodies.par_iter().map(|body| nesting(body, bound)).try_reduce(|| 0, |one, other| Ok(one.max(other)))
    })?
}

fn nesting(body: &FunctionBody<'_>, bound: u64) -> Result<u64> {
    let (mut depth, mut deepest) = (0_u64, 0_u64);
    let mut operators = body.get_operators_reader().map_err(invalid)?;
    while !operators.eof() {
        match operators.read().map_err(invalid)? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. } => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            Operator::End | Operator::Delegate { .. } => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    at_most("levels of nesting", deepest, bound, "--max-nesting")?;
    Ok(deepest)
}
