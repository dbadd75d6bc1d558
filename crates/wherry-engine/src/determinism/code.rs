//! Code in mode `deterministic` gives the same bytes and burns the same fuel however it was compiled: for this processor or
//! the least of its kind, at each level of optimisation, and for the portable interpreter; as a module and as a component.

use crate::guest::Guest;
use crate::limits::Limits;
use crate::mode::{EngineKey, HERE, Mode, PULLEY, config};
use crate::policy::Policy;
use crate::stdio::{Buffer, Output, Stdio};
use crate::wasi;
use crate::watch::drive;
use std::fmt::Write as _;
use wasmtime::component::Component;
use wasmtime::{Engine, Module, OptLevel, RegallocAlgorithm, Store};

/// Vectors of numbers on which processors differ: quiet and signalling NaN with payloads, infinities, both zeros, halves.
const INPUTS: [[u32; 4]; 4] = [
    [0x7fc0_0001, 0xff80_0001, 0x7f80_0000, 0xff80_0000],
    [0x0000_0000, 0x8000_0000, 0x7fc1_2345, 0x7ff8_0000],
    [0x3f00_0000, 0xbfc0_0000, 0x4f80_0000, 0xcf80_0001],
    [0xfff4_0000, 0x0000_0001, 0x80ff_7f81, 0x0102_0380],
];

const UNARY: [&str; 17] = [
    "f32x4.sqrt",
    "f64x2.sqrt",
    "f32x4.nearest",
    "f64x2.floor",
    "f32x4.ceil",
    "f64x2.trunc",
    "f32x4.neg",
    "f32x4.abs",
    "f32x4.demote_f64x2_zero",
    "f64x2.promote_low_f32x4",
    "i32x4.trunc_sat_f32x4_s",
    "i32x4.relaxed_trunc_f32x4_s",
    "i32x4.relaxed_trunc_f32x4_u",
    "i32x4.relaxed_trunc_f64x2_s_zero",
    "i32x4.relaxed_trunc_f64x2_u_zero",
    "f32x4.convert_i32x4_u",
    "f64x2.convert_low_i32x4_s",
];

const BINARY: [&str; 19] = [
    "f32x4.add",
    "f32x4.sub",
    "f32x4.mul",
    "f32x4.div",
    "f32x4.min",
    "f32x4.max",
    "f32x4.pmin",
    "f64x2.add",
    "f64x2.mul",
    "f64x2.div",
    "f64x2.min",
    "f64x2.pmax",
    "f32x4.relaxed_min",
    "f32x4.relaxed_max",
    "f64x2.relaxed_min",
    "f64x2.relaxed_max",
    "i8x16.relaxed_swizzle",
    "i16x8.relaxed_q15mulr_s",
    "i16x8.relaxed_dot_i8x16_i7x16_s",
];

const TERNARY: [&str; 9] = [
    "f32x4.relaxed_madd",
    "f32x4.relaxed_nmadd",
    "f64x2.relaxed_madd",
    "f64x2.relaxed_nmadd",
    "i8x16.relaxed_laneselect",
    "i16x8.relaxed_laneselect",
    "i32x4.relaxed_laneselect",
    "i64x2.relaxed_laneselect",
    "i32x4.relaxed_dot_i8x16_i7x16_add_s",
];

const SCALAR: [&str; 5] = ["f64.div", "f64.min", "f64.mul", "f64.copysign", "f64.sub"];

/// Where results are written to; the inputs are at 65536.
const ROOM: usize = 65_536;

/// A core module that does each operation on each choice of inputs, loaded so that no compiler knows them, takes its time, asks
/// for more memory than there is and leaves all results from 16 on. `imports` and `end` are what is around that; `END` in them
/// stands for where the results end.
fn core(imports: &str, end: &str) -> String {
    let input = |index: usize| format!("(v128.load (i32.const {}))", ROOM + 16 * index);
    let double = |index: usize| format!("(f64.load (i32.const {}))", ROOM + 8 * index);
    let mut body = String::new();
    let mut at = 64;
    let mut store = |kind: &str, value: String| {
        writeln!(body, "({kind}.store (i32.const {at}) {value})").unwrap();
        at += 16;
    };
    for one in 0..INPUTS.len() {
        for operation in UNARY {
            store("v128", format!("({operation} {})", input(one)));
        }
        for two in 0..INPUTS.len() {
            for operation in BINARY {
                store("v128", format!("({operation} {} {})", input(one), input(two)));
            }
            for operation in TERNARY {
                let third = input((one + two) % INPUTS.len());
                store(
                    "v128",
                    format!("({operation} {} {} {third})", input(one), input(two)),
                );
            }
            for operation in SCALAR {
                store(
                    "f64",
                    format!("({operation} {} {})", double(one), double(two + 4)),
                );
            }
            let demoted = format!("(f32.demote_f64 {})", double(two));
            store(
                "f32",
                format!("(f32.add {demoted} (f32.load (i32.const {})))", ROOM + 4 * one),
            );
        }
    }
    assert!(at < ROOM);
    let data: String = INPUTS
        .as_flattened()
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .fold(String::new(), |text, byte| format!("{text}\\{byte:02x}"));
    let text = format!(
        r#"{imports}
            (data (i32.const {ROOM}) "{data}")
            (func $spin (param $n i32) (result i32)
                (loop $again
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $again (local.get $n)))
                (memory.grow (i32.const 65536)))
            (func $compute
                {body}
                (i32.store (i32.const 16) (call $spin (i32.const 3000000))))
            {end}"#
    );
    text.replace("END", &at.to_string())
}

/// What the guest is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// A module, which writes the results to its standard output.
    Wasi01,
    /// A component, whose function returns the results.
    Wasi02,
    /// The same with an asynchronous function, which waits first.
    Wasi03,
}

impl Generation {
    /// The guest.
    fn guest(self) -> String {
        match self {
            Self::Wasi01 => format!("(module {})", core(PRINTS.0, PRINTS.1)),
            Self::Wasi02 => component("0.2.0", ["", ""], &core(ASKS, RETURNS), &lifted("", "", "")),
            Self::Wasi03 => {
                let imports = format!(
                    r#"{ASKS} (import "host" "wait" (func $wait (param i64)))
                    (import "host" "return" (func $return (param i32 i32)))"#
                );
                let waits = r#"(export "wait-for" (func $wait async (param "how-long" u64)))"#;
                let lowered = r#"(core func $wait (canon lower (func $clock "wait-for")))
                    (core func $return (canon task.return (result (list u8)) (memory $memory)))
                    (core instance $more (export "wait" (func $wait)) (export "return" (func $return)))"#;
                let lift = lifted("async", "async", r#"(callback (core func $main "callback"))"#);
                component("0.3.0", [waits, lowered], &core(&imports, WAITS), &lift)
            }
        }
    }
}

/// Imports of a module, and what it does with its results.
const PRINTS: (&str, &str) = (
    r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)"#,
    r#"(func (export "_start")
        (call $compute)
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.sub (i32.const END) (i32.const 16)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#,
);

/// Imports of the module in a component.
const ASKS: &str = r#"(import "host" "memory" (memory 2))
    (import "host" "now" (func $now (result i64)))
    (import "host" "chance" (func $chance (result i64)))"#;

const RETURNS: &str = r#"(func (export "run") (result i32)
    (call $compute)
    (i64.store (i32.const 24) (call $now))
    (i64.store (i32.const 32) (call $chance))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.sub (i32.const END) (i32.const 16)))
    (i32.const 0))"#;

const WAITS: &str = r#"(func (export "run") (result i32)
        (call $compute)
        (call $wait (i64.const 3600000000000))
        (i64.store (i32.const 24) (call $now))
        (i64.store (i32.const 32) (call $chance))
        (call $return (i32.const 16) (i32.sub (i32.const END) (i32.const 16)))
        (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable)"#;

/// A component round a core module that asks for time and chance.
fn component(version: &str, [exports, lowered]: [&str; 2], core: &str, lifted: &str) -> String {
    let more = if lowered.is_empty() {
        ""
    } else {
        r#"(export "wait" (func $wait)) (export "return" (func $return))"#
    };
    format!(
        r#"(component
            (import "wasi:clocks/monotonic-clock@{version}"
                (instance $clock (export "now" (func (result u64))) {exports}))
            (import "wasi:random/random@{version}"
                (instance $random (export "get-random-u64" (func (result u64)))))
            (core module $room (memory (export "memory") 2))
            (core instance $room (instantiate $room))
            (alias core export $room "memory" (core memory $memory))
            (core func $now (canon lower (func $clock "now")))
            (core func $chance (canon lower (func $random "get-random-u64")))
            {lowered}
            (core module $main {core})
            (core instance $main (instantiate $main (with "host" (instance
                (export "memory" (memory $memory)) (export "now" (func $now)) (export "chance" (func $chance))
                {more}))))
            {lifted})"#
    )
}

/// The function of a component.
fn lifted(kind: &str, option: &str, callback: &str) -> String {
    format!(
        r#"(func (export "run") {kind} (result (list u8))
            (canon lift (core func $main "run") {option} (memory $memory) {callback}))"#
    )
}

/// Runs the guest on an engine with these settings: its results, and the fuel that it burnt.
fn run(
    generation: Generation,
    target: Option<&str>,
    level: OptLevel,
    registers: RegallocAlgorithm,
) -> (Vec<u8>, u64) {
    let key = EngineKey {
        mode: Mode::Deterministic,
        target: target.map(str::to_owned),
        concurrency: generation == Generation::Wasi03,
        ..EngineKey::default()
    };
    let mut config = config(&key).unwrap();
    config
        .cranelift_opt_level(level)
        .cranelift_regalloc_algorithm(registers);
    let engine = Engine::new(&config).unwrap();
    let policy = Policy {
        deterministic: true,
        ..Policy::default()
    };
    let printed = Buffer::default();
    let stdio = Stdio {
        output: Output::Buffer(printed.clone()),
        ..Stdio::default()
    };
    let guest = Guest::new(&policy, &Limits::terminal(), &["guest".to_owned()], stdio).unwrap();
    let mut store = Store::new(&engine, guest);
    store.limiter(|guest| &mut guest.meter);
    store.set_fuel(super::FUEL).unwrap();
    store.fuel_async_yield_interval(Some(1_000_000)).unwrap();
    let watch = store.data().watch.clone();
    let done = drive(&watch, results(generation, &engine, &mut store, &printed));
    (done.unwrap().unwrap(), super::FUEL - store.get_fuel().unwrap())
}

/// What a guest writes or returns.
async fn results(
    generation: Generation,
    engine: &Engine,
    store: &mut Store<Guest>,
    printed: &Buffer,
) -> wasmtime::Result<Vec<u8>> {
    if generation == Generation::Wasi01 {
        let module = Module::new(engine, generation.guest())?;
        let linker = wasi::module_linker(engine)?;
        let instance = linker.instantiate_async(&mut *store, &module).await?;
        let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
        start.call_async(store, ()).await?;
        return Ok(printed.take());
    }
    let component = Component::new(engine, generation.guest())?;
    let linker = wasi::component_linker(engine, generation == Generation::Wasi03)?;
    let instance = linker.instantiate_async(&mut *store, &component).await?;
    let run = instance.get_typed_func::<(), (Vec<u8>,)>(&mut *store, "run")?;
    Ok(run.call_async(store, ()).await?.0)
}

#[test]
fn the_same_bytes_and_fuel_however_it_was_compiled() {
    for generation in [Generation::Wasi01, Generation::Wasi02, Generation::Wasi03] {
        let (bytes, fuel) = run(generation, None, OptLevel::Speed, RegallocAlgorithm::Backtracking);
        assert!(bytes.len() > 5_000, "{} bytes", bytes.len());
        // The memory has not grown past what its type can have, and that is no fault of the host.
        assert_eq!(bytes[..4], [0xff; 4]);
        assert!(fuel > 3_000_000 && fuel < 60_000_000, "{fuel}");
        // A component has seen its clock and its share of chance.
        assert_eq!(bytes[8..24] != [0; 16], generation != Generation::Wasi01);
        for target in [None, HERE, Some(PULLEY)] {
            for level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
                for registers in [RegallocAlgorithm::Backtracking, RegallocAlgorithm::SinglePass] {
                    if target == Some(PULLEY) && registers == RegallocAlgorithm::SinglePass {
                        continue;
                    }
                    let (other, burnt) = run(generation, target, level, registers);
                    let first = bytes.iter().zip(&other).position(|(one, other)| one != other);
                    let how = format!("{generation:?} {target:?} {level:?}");
                    assert_eq!(first, None, "{how}: the first byte that differs");
                    assert_eq!((other.len(), burnt), (bytes.len(), fuel), "{how}");
                }
            }
        }
    }
}
