//! Static bounds, checked before anything is compiled.
//!
//! A compiler's time and memory grow with what it is given: a program of 600,000 small functions takes 6 GB and
//! minutes. [`check`] walks over a binary once without validating it, counts, and refuses what is over the
//! [`Bounds`]; on the way it notes in a [`Shape`] what the loader has to know before it can choose an engine.
//! Start reading at [`check`].

use serde::{Deserialize, Serialize};
use wasmparser::{
    CanonicalFunction, CanonicalOption, Chunk, ComponentDefinedType, ComponentType, ComponentTypeDeclaration,
    CompositeInnerType, FunctionBody, InstanceTypeDeclaration, MemoryType, Parser, Payload, RecGroup,
    TableType, TypeRef,
};

use crate::effort::{self, Effort, Thing};
use crate::error::{Error, Kind, Result};
use crate::mode;
use crate::recognise::Form;
use crate::validate::{cut_short, refused};

mod declarations;

pub use declarations::shallow;

/// The largest binary that is looked at, compiled or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Functions with a body, in all modules of a component together.
    pub functions: u64,
    /// Bytes of the largest body.
    pub body: u64,
    /// Levels of blocks inside one body; validation counts them.
    pub nesting: u64,
    /// Bytes of the whole file.
    pub size: u64,
}

impl Default for Bounds {
    /// Generous: programs of 50 MB with 100,000 functions pass.
    fn default() -> Self {
        Self {
            functions: 250_000,
            body: 4 << 20,
            nesting: 10_000,
            size: 256 << 20,
        }
    }
}

/// How deep components, and the types that they declare, may be nested in one another. Tool-chains make three or four levels.
const DEEPEST: u64 = 100;
const DEEP_COMPONENTS: &str = "components nested over 100 levels deep";

/// How many imports or exports a program may have: as many names are kept.
const MOST_NAMES: u64 = 100_000;

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
    /// What was counted, in the terms of the bounds; `nesting` is left to validation.
    pub measured: Bounds,
    /// Bytes of all function bodies together: what compiling takes time for.
    pub code: u64,
    /// What compiling may take at the most, but for what only the instructions tell.
    pub effort: Effort,
    /// The most values that a call or a branch may hand over.
    pub values: u64,
    /// Whether it has a table that may have more elements than one in the pool.
    pub wide_tables: bool,
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
    let mut walk = Walk::new(bytes, bounds);
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| {
            if ends_early(bytes) {
                return cut_short(bytes.len());
            }
            refused(&error)
        });
        walk.visit(payload?)?;
    }
    let mut shape = walk.shape;
    shape.measured.size = size;
    shape.wasi.sort_unstable();
    shape.wasi.dedup();
    Ok(shape)
}

/// Whether more bytes at the end would help the parser on; a fault among those that are there stays one.
fn ends_early(mut bytes: &[u8]) -> bool {
    let (mut parser, mut outer) = (Parser::new(0), Vec::new());
    loop {
        let payload = match parser.parse(bytes, false) {
            Ok(Chunk::Parsed { consumed, payload }) => {
                bytes = &bytes[consumed..];
                payload
            }
            wanting => return wanting.is_ok(),
        };
        match payload {
            Payload::ModuleSection { parser: inner, .. }
            | Payload::ComponentSection { parser: inner, .. } => {
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => match outer.pop() {
                Some(one) => parser = one,
                None => return false,
            },
            _ => {}
        }
    }
}

/// Refuses `measured` where it is over `bounds`: for compiled code, whose source was measured earlier.
///
/// # Errors
/// [`Kind::TooLarge`].
pub fn within(measured: &Bounds, bounds: &Bounds) -> Result<()> {
    at_most("bytes in all", measured.size, bounds.size, "--max-size")?;
    at_most(
        "functions",
        measured.functions,
        bounds.functions,
        "--max-functions",
    )?;
    at_most("bytes in one function", measured.body, bounds.body, "--max-body")?;
    at_most(
        "levels of nesting",
        measured.nesting,
        bounds.nesting,
        "--max-nesting",
    )
}

/// Refuses `found` of `what` when it is over `bound`, which `flag` raises.
pub(crate) fn at_most(what: &str, found: u64, bound: u64, flag: &str) -> Result<()> {
    if found <= bound {
        return Ok(());
    }
    Err(Error::new(
        Kind::TooLarge,
        format!("too large to compile: {found} {what}, the bound is {bound}"),
    )
    .with_hint(format!(
        "raise it with `{flag} {found}` if you trust this file, and expect a long wait"
    )))
}

/// The refusal of what no tool-chain makes.
fn harmful(what: &str) -> Error {
    Error::new(Kind::TooLarge, format!("too large to compile: {what}"))
        .with_hint("no tool-chain makes a file like this: it is damaged, or made to do harm")
}

/// Refuses more names than are kept.
fn few(found: u32, what: &str) -> Result<()> {
    if u64::from(found) <= MOST_NAMES {
        return Ok(());
    }
    Err(harmful(&format!("over {MOST_NAMES} {what}")))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn invalid(error: wasmparser::BinaryReaderError) -> Error {
    refused(&error)
}

/// The state of one walk over the payloads of a binary and all that is nested in it.
struct Walk<'a> {
    bytes: &'a [u8],
    bounds: &'a Bounds,
    shape: Shape,
    depth: u64,
    /// What pictures of memories and tables take, if there is something to draw, of the module that the walk is in.
    memories: Effort,
    tables: Effort,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], bounds: &'a Bounds) -> Self {
        let shape = Shape {
            form: Form::Module,
            measured: Bounds {
                functions: 0,
                body: 0,
                nesting: 0,
                size: 0,
            },
            code: 0,
            effort: Effort::default(),
            values: 0,
            wide_tables: false,
            concurrency: false,
            wasi: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            threads: false,
        };
        Self {
            bytes,
            bounds,
            shape,
            depth: 0,
            memories: Effort::default(),
            tables: Effort::default(),
        }
    }

    /// Whether the walk is in the outermost module or component.
    fn outermost(&self) -> bool {
        self.depth == 1
    }

    fn visit(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::Version { encoding, .. } => self.enter(encoding)?,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => {
                self.shape.measured.functions += u64::from(count);
                at_most(
                    "functions",
                    self.shape.measured.functions,
                    self.bounds.functions,
                    "--max-functions",
                )?;
                self.weigh(Thing::Function, count);
            }
            Payload::CodeSectionEntry(body) => self.body(&body)?,
            Payload::ImportSection(imports) => {
                self.weigh(Thing::Name, imports.count());
                for import in imports.into_imports() {
                    let import = import.map_err(invalid)?;
                    self.import(import.module, import.name, &import.ty)?;
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memory(&memory.map_err(invalid)?);
                }
            }
            Payload::ExportSection(exports) => {
                self.weigh(Thing::Name, exports.count());
                if self.outermost() {
                    few(exports.count(), "exports")?;
                    for export in exports {
                        self.shape.exports.push(export.map_err(invalid)?.name.to_owned());
                    }
                }
            }
            other => self.visit_parts(other)?,
        }
        Ok(())
    }

    /// What matters for the work it is alone.
    fn visit_parts(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    self.types(group.map_err(invalid)?);
                }
            }
            Payload::TableSection(tables) => {
                self.weigh(Thing::Part, tables.count());
                for table in tables {
                    self.table(&table.map_err(invalid)?.ty);
                }
            }
            Payload::ElementSection(elements) if elements.count() > 0 => {
                self.weigh(Thing::Part, elements.count());
                self.shape.effort += std::mem::take(&mut self.tables);
            }
            Payload::DataSection(data) if data.count() > 0 => {
                self.weigh(Thing::Part, data.count());
                self.shape.effort += std::mem::take(&mut self.memories);
            }
            other => self.visit_component(other)?,
        }
        Ok(())
    }

    fn visit_component(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                self.weigh(Thing::Definition, imports.count());
                for import in imports {
                    let name = import.map_err(invalid)?.name.name;
                    self.component_import(name)?;
                }
            }
            Payload::ComponentExportSection(exports) if self.outermost() => {
                self.weigh(Thing::Definition, exports.count());
                few(exports.count(), "exports")?;
                for export in exports {
                    self.shape
                        .exports
                        .push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                self.weigh(Thing::Function, functions.count());
                if !self.outermost() {
                    self.composed();
                }
                for function in functions {
                    self.shape.concurrency |= function_is_async(&function.map_err(invalid)?);
                }
            }
            Payload::ComponentTypeSection(types) => {
                declarations::section(self.bytes, types.range())?;
                self.weigh(Thing::Definition, types.count());
                for ty in types {
                    self.shape.concurrency |= type_is_async(&ty.map_err(invalid)?);
                }
            }
            Payload::ComponentAliasSection(aliases) => self.weigh(Thing::Definition, aliases.count()),
            Payload::ComponentInstanceSection(_) | Payload::InstanceSection(_) if !self.outermost() => {
                self.composed();
            }
            Payload::ComponentInstanceSection(instances) => self.weigh(Thing::Definition, instances.count()),
            Payload::InstanceSection(instances) => self.weigh(Thing::Definition, instances.count()),
            _ => {}
        }
        Ok(())
    }

    fn weigh(&mut self, thing: Thing, count: u32) {
        self.shape.effort += effort::of_things(thing, u64::from(count));
    }

    fn table(&mut self, table: &TableType) {
        self.tables += effort::of_table(table.initial);
        self.shape.wide_tables |= table
            .maximum
            .is_none_or(|maximum| maximum > mode::POOL_TABLE as u64);
    }

    fn memory(&mut self, memory: &MemoryType) {
        self.shape.threads |= memory.shared;
        let page = memory.page_size_log2.unwrap_or(16).min(63);
        self.memories += effort::of_memory(memory.initial.saturating_mul(1 << page));
    }

    /// Notes how many values calls, branches and structures may have.
    fn types(&mut self, group: RecGroup) {
        self.weigh(
            Thing::Type,
            u32::try_from(group.types().len()).unwrap_or(u32::MAX),
        );
        for ty in group.into_types() {
            let values = match ty.composite_type.inner {
                CompositeInnerType::Func(function) => function.params().len().max(function.results().len()),
                CompositeInnerType::Struct(structure) => structure.fields.len(),
                _ => 0,
            };
            self.shape.values = self.shape.values.max(values as u64);
        }
    }

    fn enter(&mut self, encoding: wasmparser::Encoding) -> Result<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(harmful(DEEP_COMPONENTS));
        }
        if self.outermost() && encoding == wasmparser::Encoding::Component {
            self.shape.form = Form::Component;
        }
        if self.depth > 2 {
            self.composed();
        }
        (self.memories, self.tables) = Default::default();
        Ok(())
    }

    /// Notes a component inside another one that has more in it than types and names, which tool-chains wrap exports in: each
    /// may be instantiated by the next one twice, and what calls from one into the other is compiled for each.
    fn composed(&mut self) {
        self.shape.effort = Effort::ENDLESS;
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<()> {
        let size = body.as_bytes().len() as u64;
        at_most("bytes in one function", size, self.bounds.body, "--max-body")?;
        self.shape.measured.body = self.shape.measured.body.max(size);
        self.shape.code += size;
        let mut variables = 0;
        for local in body.get_locals_reader().map_err(invalid)? {
            variables += u64::from(local.map_err(invalid)?.0);
        }
        self.shape.effort += effort::of_body(size, variables + self.shape.values);
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str, ty: &TypeRef) -> Result<()> {
        if let TypeRef::Memory(memory) = ty {
            self.shape.threads |= memory.shared;
        }
        if !self.outermost() {
            return Ok(());
        }
        match module {
            "wasi_unstable" => self.shape.wasi.push(Generation::Unstable),
            "wasi_snapshot_preview1" => self.shape.wasi.push(Generation::V0_1),
            _ => {}
        }
        self.keep(module, name)
    }

    fn keep(&mut self, module: &str, name: &str) -> Result<()> {
        self.shape.imports.push((module.to_owned(), name.to_owned()));
        few(
            u32::try_from(self.shape.imports.len()).unwrap_or(u32::MAX),
            "imports",
        )
    }

    fn component_import(&mut self, name: &str) -> Result<()> {
        if !self.outermost() {
            return Ok(());
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
        self.keep(name, "")
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
/// How deep types are declared in one another, and with it the recursion here, is bounded before they are read.
fn type_is_async(ty: &ComponentType<'_>) -> bool {
    match ty {
        ComponentType::Defined(defined) => {
            matches!(
                defined,
                ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_)
            )
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn shape(text: &str) -> Shape {
        check(&wat::parse_str(text).expect("text"), &Bounds::default()).expect("a shape")
    }

    fn checked(text: &str, bounds: Bounds) -> Option<Kind> {
        check(&wat::parse_str(text).expect("text"), &bounds)
            .err()
            .map(|error| error.kind())
    }

    #[test]
    fn each_bound_holds_below_at_and_just_above() {
        let text = "(module (func) (func) (func))";
        let size = wat::parse_str(text).expect("text").len() as u64;
        let bounds: [fn(&mut Bounds) -> &mut u64; 3] = [
            |bounds| &mut bounds.functions,
            |bounds| &mut bounds.body,
            |bounds| &mut bounds.size,
        ];
        for (bound, measured) in bounds.into_iter().zip([3, 2, size]) {
            for (value, refusal) in [
                (measured + 1, None),
                (measured, None),
                (measured - 1, Some(Kind::TooLarge)),
            ] {
                let mut bounds = Bounds::default();
                *bound(&mut bounds) = value;
                assert_eq!(checked(text, bounds), refusal, "{bounds:?}");
            }
        }
    }

    #[test]
    fn what_is_cut_short_is_told_from_what_is_damaged() {
        let whole =
            wat::parse_str("(component (core module (func) (data \"text\")) (core module))").expect("text");
        let message = |bytes: &[u8]| match check(bytes, &Bounds::default()) {
            Ok(_) => String::new(),
            Err(error) => error.message().to_owned(),
        };
        assert_eq!(message(&whole), "");
        for length in [9, whole.len() / 2, whole.len() - 1] {
            let told = message(&whole[..length]);
            assert!(
                told.starts_with("cut short: ") && told.contains(&format!("{length} bytes")),
                "{told}"
            );
        }
        // The section is whole, and the number in it is not.
        let damaged = b"\0asm\x01\0\0\0\x01\x01\x80";
        assert!(
            message(damaged).starts_with("not valid WebAssembly: "),
            "{}",
            message(damaged)
        );
    }

    #[test]
    fn components_nest_a_hundred_deep_and_no_deeper() {
        let nested = |depth: u64| {
            let header = *b"\0asm\x0d\0\x01\0";
            (1..depth).fold(header.to_vec(), |inner, _| {
                // A section of number 4 holds a component; its length is in LEB128, padded to five bytes.
                let digit = |at: u32| u8::try_from(inner.len() >> (7 * at) & 0x7f).expect("seven bits");
                let digits: Vec<u8> = (0..4).map(|at| digit(at) | 0x80).chain([digit(4)]).collect();
                header.into_iter().chain([4]).chain(digits).chain(inner).collect()
            })
        };
        let refusal = |depth| {
            check(&nested(depth), &Bounds::default())
                .err()
                .map(|error| error.kind())
        };
        assert_eq!(refusal(DEEPEST - 1), None);
        assert_eq!(refusal(DEEPEST), None);
        assert_eq!(refusal(DEEPEST + 1), Some(Kind::TooLarge));
    }

    #[test]
    fn functions_of_all_nested_modules_count() {
        let text = "(component (core module (func) (func)) (component (core module (func))))";
        assert_eq!(shape(text).measured.functions, 3);
    }

    #[test]
    fn a_program_of_too_many_functions_is_refused_at_the_section() {
        let mut text = String::from("(module");
        for _ in 0..=Bounds::default().functions {
            let _ = write!(text, "(func)");
        }
        text.push(')');
        assert_eq!(checked(&text, Bounds::default()), Some(Kind::TooLarge));
    }

    #[test]
    fn concurrency_is_seen_where_it_is_needed() {
        let table = [
            ("(module)", false),
            ("(component)", false),
            (
                "(component (import \"wasi:cli/environment@0.2.6\" (instance)))",
                false,
            ),
            (
                "(component (import \"wasi:cli/environment@0.3.0\" (instance)))",
                true,
            ),
            ("(component (type (func async)))", true),
            ("(component (type (stream u8)))", true),
            ("(component (type (instance (type (future)))))", true),
            ("(component (core func (canon task.cancel)))", true),
            (
                "(component (type $r (resource (rep i32))) (core func (canon resource.drop $r)))",
                false,
            ),
        ];
        for (text, concurrency) in table {
            assert_eq!(shape(text).concurrency, concurrency, "{text}");
        }
    }

    #[test]
    fn the_generations_of_wasi_are_listed_once_oldest_first() {
        let text = "(component (import \"wasi:io/poll@0.3.0\" (instance)) (import \"wasi:io/a@0.2.1\" (instance)) \
                    (import \"wasi:io/b@0.2.1\" (instance)))";
        assert_eq!(shape(text).wasi, [Generation::V0_2, Generation::V0_3]);
        let text = "(module (import \"wasi_snapshot_preview1\" \"a\" (func)) (import \"wasi_unstable\" \"a\" (func)))";
        assert_eq!(shape(text).wasi, [Generation::Unstable, Generation::V0_1]);
    }

    #[test]
    fn only_the_outermost_imports_and_exports_are_listed() {
        let text = "(component (core module (import \"x\" \"y\" (func)) (export \"z\" (func 0))))";
        assert!(shape(text).imports.is_empty());
        assert!(shape(text).exports.is_empty());
    }

    #[test]
    fn every_cut_of_a_binary_is_an_error_or_a_shape() {
        let whole =
            wat::parse_str("(component (core module (func (export \"f\") (loop (br 0)))))").expect("text");
        for end in 8..whole.len() {
            if let Err(error) = check(&whole[..end], &Bounds::default()) {
                assert_eq!(error.kind(), Kind::Invalid);
            }
        }
    }
}
