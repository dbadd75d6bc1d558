//! Code in mode `deterministic` gives the same bytes and burns the same fuel however it was compiled: for this processor or
//! the least of its kind, at each level of optimisation, and for the portable interpreter.

use crate::guest::Guest;
use crate::limits::Limits;
use crate::mode::{EngineKey, Mode, PULLEY, config};
use crate::policy::Policy;
use crate::stdio::{Buffer, Output, Stdio};
use crate::wasi;
use crate::watch::{Watch, drive};
use std::fmt::Write as _;
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

/// A guest that does each operation on each choice of inputs, loaded so that no compiler knows them, and prints all results.
fn guest() -> String {
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
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const {ROOM}) "{data}")
            (func $spin (param $n i32) (result i32)
                (loop $again
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $again (local.get $n)))
                (memory.grow (i32.const 65536)))
            (func (export "_start")
                {body}
                (i32.store (i32.const 16) (call $spin (i32.const 3000000)))
                (i32.store (i32.const 0) (i32.const 16))
                (i32.store (i32.const 4) (i32.const {}))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        at - 16
    )
}

/// Runs the guest on an engine with these settings: what it printed, and the fuel that it burnt.
fn run(wat: &str, target: Option<&str>, level: OptLevel, registers: RegallocAlgorithm) -> (Vec<u8>, u64) {
    let key = EngineKey {
        mode: Mode::Deterministic,
        target: target.map(str::to_owned),
        ..EngineKey::default()
    };
    let mut config = config(&key).unwrap();
    config
        .cranelift_opt_level(level)
        .cranelift_regalloc_algorithm(registers);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, wat).unwrap();
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
    let linker = wasi::module_linker(&engine).unwrap();
    let done = drive(&Watch::default(), async {
        let instance = linker.instantiate_async(&mut store, &module).await?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        start.call_async(&mut store, ()).await
    });
    done.unwrap().unwrap();
    (printed.take(), super::FUEL - store.get_fuel().unwrap())
}

/// This machine's kind of processor without what only newer ones can do.
const BASELINE: Option<&str> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some("x86_64-unknown-linux-gnu")
} else {
    None
};

#[test]
fn the_same_bytes_and_fuel_however_it_was_compiled() {
    let wat = guest();
    let (bytes, fuel) = run(&wat, None, OptLevel::Speed, RegallocAlgorithm::Backtracking);
    assert!(bytes.len() > 5_000, "{} bytes", bytes.len());
    // The memory has not grown past what its type can have, and that is no fault of the host.
    assert_eq!(bytes[..4], [0xff; 4]);
    assert!(fuel > 3_000_000 && fuel < 60_000_000, "{fuel}");
    for target in [None, BASELINE, Some(PULLEY)] {
        for level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
            for registers in [RegallocAlgorithm::Backtracking, RegallocAlgorithm::SinglePass] {
                if target == Some(PULLEY) && registers == RegallocAlgorithm::SinglePass {
                    continue;
                }
                let (other, burnt) = run(&wat, target, level, registers);
                let first = bytes.iter().zip(&other).position(|(one, other)| one != other);
                assert_eq!(first, None, "{target:?} {level:?}: the first byte that differs");
                assert_eq!((other.len(), burnt), (bytes.len(), fuel), "{target:?} {level:?}");
            }
        }
    }
}
