//! One function across the border: each instruction of the canonical ABI becomes a line of AssemblyScript.

use std::fmt::Write as _;

use wit_bindgen_core::abi::{self, AbiVariant, Bindgen, Instruction, LiftLower, WasmSignature, WasmType};
use wit_bindgen_core::wit_parser::{
    Alignment, ArchitectureSize, Function, Handle, Resolve, Result_, SizeAlign, Type, TypeId, Variant,
};
use wit_bindgen_core::{Direction, uwrite, uwriteln};

use super::memory;
use super::plan::is_reference;
use super::types::{Writer, fields};

/// What a function is in the language, and how each side is called.
pub(super) struct Ends {
    /// What the parameters are called, of the language or of WebAssembly.
    pub(super) parameters: Vec<String>,
    /// What is called, up to its arguments.
    pub(super) callee: String,
    /// Whether the first argument is the object whose method `callee` is.
    pub(super) on_object: bool,
    /// Whether the result becomes `this`.
    pub(super) constructs: bool,
}

/// A part of a function that runs for each element, or for one case.
pub(super) struct Block {
    pub(super) body: String,
    pub(super) results: Vec<String>,
    pub(super) number: usize,
}

pub(super) struct Glue<'a, 'w> {
    pub(super) writer: &'a mut Writer<'w>,
    pub(super) body: String,
    ends: Ends,
    outer: Vec<(String, usize)>,
    blocks: Vec<Block>,
    numbered: usize,
    scratch: bool,
    borrows: bool,
}

impl<'a, 'w> Glue<'a, 'w> {
    fn new(writer: &'a mut Writer<'w>, ends: Ends) -> Self {
        Self {
            writer,
            body: String::new(),
            ends,
            outer: Vec::new(),
            blocks: Vec::new(),
            numbered: 0,
            scratch: false,
            borrows: false,
        }
    }

    /// The body of a function that the user calls and that another component has.
    pub(super) fn import(writer: &'a mut Writer<'w>, function: &Function, ends: Ends) -> String {
        let resolve = writer.resolve;
        let mut glue = Self::new(writer, ends);
        abi::call(
            resolve,
            AbiVariant::GuestImport,
            LiftLower::LowerArgsLiftResults,
            function,
            &mut glue,
            false,
        );
        if glue.scratch {
            glue.body.insert_str(0, "const $mark = $abi.scratchMark();\n");
        }
        glue.body
    }

    /// The body of a function that others call and that the user has.
    pub(super) fn export(writer: &'a mut Writer<'w>, function: &Function, ends: Ends) -> String {
        let resolve = writer.resolve;
        let mut glue = Self::new(writer, ends);
        abi::call(
            resolve,
            AbiVariant::GuestExport,
            LiftLower::LiftArgsLowerResults,
            function,
            &mut glue,
            false,
        );
        glue.body
    }

    /// The body of what frees a result once it was read.
    pub(super) fn post_return(writer: &'a mut Writer<'w>, function: &Function, ends: Ends) -> String {
        let resolve = writer.resolve;
        let mut glue = Self::new(writer, ends);
        abi::post_return(resolve, function, &mut glue);
        glue.body
    }

    /// A constant with a value: its name.
    pub(super) fn constant(&mut self, value: &str) -> String {
        self.numbered += 1;
        uwriteln!(self.body, "const ${} = {value};", self.numbered);
        format!("${}", self.numbered)
    }

    pub(super) fn number(&mut self) -> usize {
        self.numbered += 1;
        self.numbered
    }

    /// Memory for `length` elements: what gets a list frees it, unless it only looks at it during a call.
    pub(super) fn allocated(&mut self, length: &str, size: usize, given: bool) -> String {
        if !given {
            self.scratch = true;
        }
        let function = if given { "alloc" } else { "scratchAlloc" };
        self.constant(&format!("$abi.{function}({length}, {size})"))
    }

    pub(super) fn block(&mut self) -> Block {
        self.blocks
            .pop()
            .expect("an instruction has its blocks before it")
    }

    fn last_blocks(&mut self, count: usize) -> Vec<Block> {
        self.blocks.split_off(self.blocks.len() - count)
    }

    /// Variables for what comes out of one of several cases.
    fn variables(&mut self, results: &[WasmType]) -> Vec<String> {
        let declared = results.iter().map(|ty| {
            self.numbered += 1;
            uwriteln!(self.body, "let ${}: {} = 0;", self.numbered, core(*ty));
            format!("${}", self.numbered)
        });
        declared.collect()
    }

    /// What a case does when its results go to `variables`.
    fn filled(block: &Block, variables: &[String]) -> String {
        let mut body = block.body.clone();
        for (variable, result) in variables.iter().zip(&block.results) {
            uwriteln!(body, "{variable} = {result};");
        }
        body
    }

    fn lower_variant(
        &mut self,
        variant: &Variant,
        ty: TypeId,
        value: &str,
        results: &[WasmType],
    ) -> Vec<String> {
        let blocks = self.last_blocks(variant.cases.len());
        let value = self.constant(value);
        let variables = self.variables(results);
        let named = self.writer.plan.named(self.writer.resolve, ty).clone();
        uwriteln!(self.body, "switch ({value}.tag) {{");
        for ((nth, case), block) in variant.cases.iter().enumerate().zip(&blocks) {
            uwriteln!(self.body, "case {nth}: {{");
            if case.ty.is_some() {
                let class = self.writer.file.import(&named.path, &named.cases[nth]);
                uwriteln!(
                    self.body,
                    "const $payload{} = (<{class}>{value}).value;",
                    block.number
                );
            }
            uwriteln!(self.body, "{}break;\n}}", Self::filled(block, &variables));
        }
        uwriteln!(
            self.body,
            "default: {{\n$abi.wrong(\"a variant with the tag of none of its cases\");\n}}\n}}"
        );
        variables
    }

    fn lift_variant(&mut self, variant: &Variant, ty: TypeId, tag: &str) -> String {
        let blocks = self.last_blocks(variant.cases.len());
        let named = self.writer.plan.named(self.writer.resolve, ty).clone();
        let class = self.writer.class(ty);
        let made = format!("${}", self.number());
        uwriteln!(
            self.body,
            "let {made}: {class} = $abi.absent<{class}>();\nswitch ({tag}) {{"
        );
        for (nth, block) in blocks.iter().enumerate() {
            let case = self.writer.file.import(&named.path, &named.cases[nth]);
            let payload = block.results.join(", ");
            uwriteln!(
                self.body,
                "case {nth}: {{\n{}{made} = new {case}({payload});\nbreak;\n}}",
                block.body
            );
        }
        uwriteln!(
            self.body,
            "default: {{\n$abi.wrong(\"a variant with the tag of none of its cases\");\n}}\n}}"
        );
        made
    }

    fn lower_option(&mut self, payload: &Type, value: &str, results: &[WasmType]) -> Vec<String> {
        let blocks = self.last_blocks(2);
        let value = self.constant(value);
        let variables = self.variables(results);
        let present = self.writer.present(payload);
        let inner = if is_reference(self.writer.resolve, payload) {
            ""
        } else {
            ".value"
        };
        uwriteln!(
            self.body,
            "if ($abi.isNull({value})) {{\n{}}} else {{\nconst $payload{} = $abi.some<{present}>({value}){inner};\n{}}}",
            Self::filled(&blocks[0], &variables),
            blocks[1].number,
            Self::filled(&blocks[1], &variables)
        );
        variables
    }

    fn lift_option(&mut self, payload: &Type, tag: &str) -> String {
        let blocks = self.last_blocks(2);
        let present = self.writer.present(payload);
        let made = format!("${}", self.number());
        let inner = &blocks[1].results[0];
        let value = if is_reference(self.writer.resolve, payload) {
            inner.clone()
        } else {
            format!("new {present}({inner})")
        };
        uwriteln!(
            self.body,
            "let {made}: {present} | null = null;\nif ({tag} != 0) {{\n{}{made} = {value};\n}}",
            blocks[1].body
        );
        made
    }

    fn lower_result(&mut self, result: &Result_, value: &str, results: &[WasmType]) -> Vec<String> {
        let blocks = self.last_blocks(2);
        let value = self.constant(value);
        let variables = self.variables(results);
        for (nth, (test, side, ty)) in [("if", "value", &result.ok), ("else", "error", &result.err)]
            .into_iter()
            .enumerate()
        {
            let test = if nth == 0 {
                format!("if (!{value}.isErr)")
            } else {
                format!(" {test}")
            };
            uwriteln!(self.body, "{test} {{");
            if ty.is_some() {
                uwriteln!(
                    self.body,
                    "const $payload{} = {value}.{side};",
                    blocks[nth].number
                );
            }
            uwrite!(self.body, "{}}}", Self::filled(&blocks[nth], &variables));
        }
        self.body.push('\n');
        variables
    }

    fn lift_result(&mut self, result: &Result_, ty: TypeId, tag: &str) -> String {
        let blocks = self.last_blocks(2);
        let class = self.writer.ty(&Type::Id(ty));
        let (name, arguments) = class.split_once('<').expect("a result has two types");
        let (name, arguments) = (name.to_owned(), arguments.to_owned());
        let made = format!("${}", self.number());
        uwriteln!(self.body, "let {made}: {class} = $abi.absent<{class}>();");
        for (nth, (make, ty)) in [("ok", &result.ok), ("err", &result.err)].into_iter().enumerate() {
            let test = if nth == 0 {
                format!("if ({tag} == 0)")
            } else {
                " else".to_owned()
            };
            let payload = if ty.is_some() {
                blocks[nth].results[0].as_str()
            } else {
                "false"
            };
            uwrite!(
                self.body,
                "{test} {{\n{}{made} = {name}.{make}<{arguments}({payload});\n}}",
                blocks[nth].body
            );
        }
        self.body.push('\n');
        made
    }

    fn free_variant(&mut self, count: usize, tag: &str) {
        let blocks = self.last_blocks(count);
        for (nth, block) in blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| !block.body.is_empty())
        {
            uwriteln!(self.body, "if ({tag} == {nth}) {{\n{}}}", block.body);
        }
    }

    fn lower_handle(&mut self, handle: &Handle, value: &str) -> String {
        let (Handle::Own(resource) | Handle::Borrow(resource)) = handle;
        let resolve = self.writer.resolve;
        match (self.writer.plan.resource(resolve, *resource).direction, handle) {
            (Direction::Import, Handle::Own(_)) => self.constant(&format!("{value}.$give()")),
            (Direction::Import, Handle::Borrow(_)) => self.constant(&format!("{value}.$lend()")),
            (Direction::Export, Handle::Own(_)) => {
                let given = self.writer.resource_function("give", *resource);
                self.constant(&format!("{given}({value})"))
            }
            (Direction::Export, Handle::Borrow(_)) => unreachable!("what is exported is not lent to imports"),
        }
    }

    fn lift_handle(&mut self, handle: &Handle, value: &str) -> String {
        let (Handle::Own(resource) | Handle::Borrow(resource)) = handle;
        let resolve = self.writer.resolve;
        let owned = self.writer.plan.resource(resolve, *resource).direction;
        if self.ends.constructs && owned == Direction::Import {
            uwriteln!(self.body, "this.$handle = {value};");
            return "this".to_owned();
        }
        let class = self.writer.class(*resource);
        match (owned, handle) {
            (Direction::Import, Handle::Own(_)) => self.constant(&format!("{class}.$lift({value})")),
            (Direction::Import, Handle::Borrow(_)) => {
                self.borrows = true;
                self.constant(&format!("$abi.borrow<{class}>({class}.$lift({value}))"))
            }
            (Direction::Export, Handle::Own(_)) => {
                let take = self.writer.resource_function("take", *resource);
                self.constant(&format!("{take}({value})"))
            }
            (Direction::Export, Handle::Borrow(_)) => {
                let slots = self.writer.resource_function("slots", *resource);
                self.constant(&format!("{slots}.get({value})"))
            }
        }
    }

    fn call_core(&mut self, signature: &WasmSignature, operands: &[String]) -> Option<String> {
        let call = format!("{}({})", self.ends.callee, operands.join(", "));
        let result = if signature.results.is_empty() {
            uwriteln!(self.body, "{call};");
            None
        } else {
            Some(self.constant(&call))
        };
        if self.scratch {
            uwriteln!(self.body, "$abi.scratchFree($mark);");
        }
        result
    }

    fn call_user(&mut self, function: &Function, operands: &[String]) -> Option<String> {
        let (object, arguments) = operands.split_at(usize::from(self.ends.on_object));
        let object = object
            .first()
            .map(|object| format!("{object}."))
            .unwrap_or_default();
        let call = format!("{object}{}({})", self.ends.callee, arguments.join(", "));
        let result = if function.result.is_some() {
            Some(self.constant(&call))
        } else {
            uwriteln!(self.body, "{call};");
            None
        };
        if self.borrows {
            uwriteln!(self.body, "$abi.returnBorrowed();");
        }
        result
    }

    /// The instructions that put together and take apart what has no form in WebAssembly.
    fn compound(&mut self, instruction: &Instruction<'_>, operands: &[String]) -> Vec<String> {
        match instruction {
            Instruction::RecordLower { record, .. } => {
                let value = self.constant(&operands[0]);
                fields(record)
                    .iter()
                    .map(|field| format!("{value}.{field}"))
                    .collect()
            }
            Instruction::RecordLift { ty, .. } => {
                let class = self.writer.class(*ty);
                vec![self.constant(&format!("new {class}({})", operands.join(", ")))]
            }
            Instruction::TupleLower { tuple, .. } => {
                let value = self.constant(&operands[0]);
                (0..tuple.types.len())
                    .map(|nth| format!("{value}.item{nth}"))
                    .collect()
            }
            Instruction::TupleLift { tuple, .. } => {
                let class = self.writer.tuple(&tuple.types);
                vec![self.constant(&format!("new {class}({})", operands.join(", ")))]
            }
            Instruction::VariantLower {
                variant, ty, results, ..
            } => self.lower_variant(variant, *ty, &operands[0], results),
            Instruction::VariantLift { variant, ty, .. } => {
                vec![self.lift_variant(variant, *ty, &operands[0])]
            }
            Instruction::OptionLower { payload, results, .. } => {
                self.lower_option(payload, &operands[0], results)
            }
            Instruction::OptionLift { payload, .. } => vec![self.lift_option(payload, &operands[0])],
            Instruction::ResultLower { result, results, .. } => {
                self.lower_result(result, &operands[0], results)
            }
            Instruction::ResultLift { result, ty } => vec![self.lift_result(result, *ty, &operands[0])],
            Instruction::EnumLower { .. } | Instruction::FlagsLower { .. } => {
                vec![format!("(<i32>{})", operands[0])]
            }
            Instruction::EnumLift { ty, .. } | Instruction::FlagsLift { ty, .. } => {
                let class = self.writer.class(*ty);
                vec![format!("(<{class}>{})", operands[0])]
            }
            Instruction::HandleLower { handle, .. } => vec![self.lower_handle(handle, &operands[0])],
            Instruction::HandleLift { handle, .. } => vec![self.lift_handle(handle, &operands[0])],
            Instruction::GuestDeallocateVariant { blocks } => {
                self.free_variant(*blocks, &operands[0]);
                Vec::new()
            }
            other => unreachable!("{other:?} is for types that were refused before"),
        }
    }
}

impl Bindgen for Glue<'_, '_> {
    type Operand = String;

    fn emit(
        &mut self,
        _resolve: &Resolve,
        instruction: &Instruction<'_>,
        operands: &mut Vec<String>,
        results: &mut Vec<String>,
    ) {
        match instruction {
            Instruction::GetArg { nth } => results.push(self.ends.parameters[*nth].clone()),
            Instruction::VariantPayloadName => results.push(format!("$payload{}", self.inside())),
            Instruction::IterElem { .. } => results.push(format!("$element{}", self.inside())),
            Instruction::IterMapKey { .. } => results.push(format!("$key{}", self.inside())),
            Instruction::IterMapValue { .. } => results.push(format!("$value{}", self.inside())),
            Instruction::IterBasePointer => results.push(format!("$base{}", self.inside())),
            Instruction::CallWasm { sig, .. } => results.extend(self.call_core(sig, operands)),
            Instruction::CallInterface { func, .. } => results.extend(self.call_user(func, operands)),
            Instruction::Flush { .. } => results.append(operands),
            Instruction::Return { .. } => {
                if let Some(value) = operands.first()
                    && !self.ends.constructs
                {
                    uwriteln!(self.body, "return {value};");
                }
            }
            _ => {
                let made = self
                    .flat(instruction, operands)
                    .or_else(|| self.list(instruction, operands));
                results.extend(made.unwrap_or_else(|| self.compound(instruction, operands)));
            }
        }
    }

    fn return_pointer(&mut self, size: ArchitectureSize, align: Alignment) -> String {
        let area = self.writer.file.fresh("area");
        let (size, align) = (size.size_wasm32().max(1), align.align_wasm32());
        uwriteln!(
            self.writer.file.body,
            "const {area} = <i32>memory.data({size}, {align});\n"
        );
        area
    }

    fn push_block(&mut self) {
        let number = self.number();
        self.outer.push((std::mem::take(&mut self.body), number));
    }

    fn finish_block(&mut self, operands: &mut Vec<String>) {
        let (outer, number) = self.outer.pop().expect("a block was begun");
        let body = std::mem::replace(&mut self.body, outer);
        self.blocks.push(Block {
            body,
            results: std::mem::take(operands),
            number,
        });
    }

    fn sizes(&self) -> &SizeAlign {
        &self.writer.plan.sizes
    }

    fn is_list_canonical(&self, resolve: &Resolve, element: &Type) -> bool {
        memory::is_number(resolve, element)
    }
}

impl Glue<'_, '_> {
    /// The number of the innermost block that is being written.
    fn inside(&self) -> usize {
        self.outer.last().map_or(0, |(_, number)| *number)
    }
}

/// A type of WebAssembly as AssemblyScript has it; pointers are numbers here.
pub(super) fn core(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}
