//! The four engine modes, in one table, and the engines made from them.
//!
//! Settings that change compiled code are decided here and nowhere else: a mode's row in [`TABLE`] and what
//! all modes have in common in [`config`]. An engine is made once per [`EngineKey`] and process; its
//! [`EngineKey::fingerprint`] is what tells compiled code that fits from code that does not.
//! Start reading at [`TABLE`].

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

use crate::error::{Error, Kind, Result};
use crate::registry::Registry;
use crate::restored::Shared;

/// How a running guest can be stopped, and whether two runs of it are the same to the last bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// No interruption: the fastest code, for a process of its own, which a signal ends.
    #[default]
    Plain,
    /// Epochs: a guest in a shared process can be stopped from another thread.
    Interruptible,
    /// Fuel: what a guest executes is counted and bounded.
    Metered,
    /// Fuel, canonical NaN and deterministic SIMD: the same bytes and the same fuel on any machine.
    Deterministic,
}

/// What sets a mode's compiled code apart.
struct Settings {
    name: &'static str,
    epochs: bool,
    fuel: bool,
    deterministic: bool,
}

/// The modes: one row each, in the order of [`Mode`].
const TABLE: [(Mode, Settings); 4] = [
    (
        Mode::Plain,
        Settings {
            name: "plain",
            epochs: false,
            fuel: false,
            deterministic: false,
        },
    ),
    (
        Mode::Interruptible,
        Settings {
            name: "interruptible",
            epochs: true,
            fuel: false,
            deterministic: false,
        },
    ),
    (
        Mode::Metered,
        Settings {
            name: "metered",
            epochs: false,
            fuel: true,
            deterministic: false,
        },
    ),
    (
        Mode::Deterministic,
        Settings {
            name: "deterministic",
            epochs: false,
            fuel: true,
            deterministic: true,
        },
    ),
];

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 4] = [TABLE[0].0, TABLE[1].0, TABLE[2].0, TABLE[3].0];

    fn settings(self) -> &'static Settings {
        &TABLE[self as usize].1
    }

    /// The name in cache keys, headers and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.settings().name
    }

    /// The mode of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|(_, settings)| settings.name == name)
            .map(|(mode, _)| *mode)
    }

    /// Whether stores of this mode need an epoch deadline.
    #[must_use]
    pub fn epochs(self) -> bool {
        self.settings().epochs
    }

    /// Whether stores of this mode need fuel.
    #[must_use]
    pub fn fuel(self) -> bool {
        self.settings().fuel
    }
}

/// The stack that a guest has unless told otherwise.
pub const DEFAULT_STACK: usize = 1 << 20;

/// The largest stack a guest may be given: its thread or fiber has to hold it.
pub const MAX_STACK: usize = 256 << 20;

/// What host functions may use of the stack on top of the guest's own.
const HOST_STACK: usize = 1 << 20;

/// The name of the portable interpreter as a target.
pub const PULLEY: &str = "pulley64";

/// The targets that `wherry compile` offers.
pub const TARGETS: [&str; 7] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    PULLEY,
];

/// The one of [`TARGETS`] that is code for any processor of this machine's kind.
pub const HERE: Option<&str> = {
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        Some(TARGETS[0])
    } else if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
        Some(TARGETS[1])
    } else if cfg!(all(target_arch = "x86_64", target_os = "macos")) {
        Some(TARGETS[2])
    } else if cfg!(all(target_arch = "aarch64", target_os = "macos")) {
        Some(TARGETS[3])
    } else if cfg!(all(target_arch = "x86_64", windows)) {
        Some(TARGETS[4])
    } else if cfg!(all(target_arch = "aarch64", windows)) {
        Some(TARGETS[5])
    } else {
        None
    }
};

/// What an engine is made from; one engine per key and process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EngineKey {
    /// How guests are interrupted and whether they are deterministic.
    pub mode: Mode,
    /// Whether the asynchronous component machinery is on; it costs every call, so only components that need it get it.
    pub concurrency: bool,
    /// Bytes of stack for a guest. Not part of compiled code.
    pub stack: usize,
    /// `None` for this machine with all that its processor can do, otherwise one of [`TARGETS`].
    pub target: Option<String>,
    /// Whether a trap takes a picture of the guest. Not part of compiled code.
    pub coredump: bool,
    /// The pool that memory for guests comes out of, for processes that make many of them. Not part of compiled code.
    pub pooled: Option<Pool>,
    /// Whether memories begin as an image and are put back to it, for components without data of their own.
    pub restored: bool,
}

impl Default for EngineKey {
    fn default() -> Self {
        Self {
            mode: Mode::Plain,
            concurrency: false,
            stack: DEFAULT_STACK,
            target: None,
            coredump: false,
            pooled: None,
            restored: false,
        }
    }
}

impl EngineKey {
    /// Names the compiled code that fits this key: Wherry's version, the mode and a hash over all that wasmtime
    /// compiles by (its version, target, processor features, tunables, proposals).
    ///
    /// # Errors
    /// As [`engine`].
    pub fn fingerprint(&self) -> Result<&'static str> {
        Ok(&entry(self)?.fingerprint)
    }
}

/// An engine and what is derived from it once.
struct Made {
    engine: Engine,
    fingerprint: String,
    /// What its guests share, where their memories are restored.
    shared: Option<Shared>,
}

static ENGINES: Registry<EngineKey, Made> = Registry::new();

/// The engine of `key`, made at its first use in this process; cheap to clone.
///
/// # Errors
/// [`Kind::Usage`] for a stack or target that cannot be.
pub fn engine(key: &EngineKey) -> Result<Engine> {
    Ok(entry(key)?.engine.clone())
}

fn entry(key: &EngineKey) -> Result<&'static Made> {
    if let Some(found) = ENGINES.get(key) {
        return Ok(found);
    }
    ENGINES.get_or_try_insert(key.clone(), || {
        let mut config = config(key)?;
        let shared = key.restored.then(|| Shared::configure(&mut config));
        let pooled = (key.pooled.filter(|_| !key.restored))
            .and_then(|kind| Engine::new(config.allocation_strategy(pool(kind))).ok());
        // Where address space is short there is no pool, and everything works without one.
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        let engine = pooled.map_or_else(|| Engine::new(&config), Ok).map_err(|error| {
            Error::new(
                Kind::Internal,
                format!("the engine refused its settings: {error:#}"),
            )
        })?;
        let fingerprint = fingerprint(key, &engine);
        Ok(Made {
            engine,
            fingerprint,
            shared,
        })
    })
}

/// What the guests of an engine of restored memories share; `None` for other engines.
///
/// # Errors
/// As [`engine`].
pub(crate) fn shared(key: &EngineKey) -> Result<Option<Shared>> {
    Ok(entry(key)?.shared.clone())
}

/// How many guests the pool is for at once. They may have several memories and instances each, so there is room for more.
pub const POOL: u32 = 500;

/// What memory of guests is used again for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pool {
    /// Calls of small guests, which write little: what they may have written is cleared.
    Calls,
    /// Requests to servers, whose guests often have a stack or a heap of a megabyte and write few pages of it: the kernel is
    /// asked which, so that the others are neither given back nor faulted in again.
    Requests,
}

/// Memory for guests that is reserved once and used again: making a guest then needs no new mappings.
fn pool(kind: Pool) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(4 * POOL)
        .total_tables(8 * POOL)
        .total_core_instances(20 * POOL)
        .total_component_instances(POOL)
        .total_stacks(POOL)
        .total_gc_heaps(POOL)
        .max_memories_per_module(8)
        .max_memories_per_component(20)
        .max_tables_per_module(8)
        .max_tables_per_component(40)
        .table_elements(POOL_TABLE)
        .max_memory_size(usize::try_from(POOL_MEMORY).unwrap_or(usize::MAX))
        .max_core_instance_size(16 << 20)
        .max_component_instance_size(16 << 20)
        // What is cleared by hand is not given back to the kernel and faulted in again.
        .linear_memory_keep_resident(128 << 10)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(16 << 10)
        .pagemap_scan(match kind {
            Pool::Calls => Enabled::No,
            Pool::Requests => Enabled::Auto,
        });
    InstanceAllocationStrategy::Pooling(pool)
}

/// How many elements a table in the pool may have, and how many bytes a memory; without a pool there is no such limit.
pub const POOL_TABLE: usize = 100_000;
/// See [`POOL_TABLE`].
pub const POOL_MEMORY: u64 = 4 << 30;

/// Advances the epoch of every engine that interrupts guests by it.
pub(crate) fn increment_epochs() {
    ENGINES.each(|key, made| {
        if key.mode.epochs() {
            made.engine.increment_epoch();
        }
    });
}

/// The settings of wasmtime for `key`.
pub(crate) fn config(key: &EngineKey) -> Result<Config> {
    if key.stack < 64 << 10 || key.stack > MAX_STACK {
        return Err(Error::new(
            Kind::Usage,
            format!("a stack of {} bytes cannot be given", key.stack),
        )
        .with_hint("give between 64KiB and 256MiB"));
    }
    let mut config = Config::new();
    if let Some(target) = &key.target {
        if !TARGETS.contains(&target.as_str()) {
            return Err(unknown_target(target));
        }
        config.target(target).map_err(|_| unknown_target(target))?;
    }
    proposals(&mut config, key.concurrency);

    let mode = key.mode.settings();
    config
        .epoch_interruption(mode.epochs)
        .consume_fuel(mode.fuel)
        .relaxed_simd_deterministic(mode.deterministic);
    #[cfg(feature = "compiler")]
    config.cranelift_nan_canonicalization(mode.deterministic);
    if mode.deterministic {
        fuse(&mut config, key.target.as_deref());
    }

    // A trap names file and line where the guest carries DWARF; the tables are mapped and cost nothing until read.
    config
        .generate_address_map(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    // Only native debuggers and profilers read unwind tables, and registering them slows each load; the
    // Windows ABI requires them.
    if !for_windows(key) {
        config.native_unwind_info(false);
    }
    config
        .max_wasm_stack(key.stack)
        .async_stack_size(key.stack + HOST_STACK)
        .coredump_on_trap(key.coredump)
        .memory_init_cow(true)
        .parallel_compilation(true);
    Ok(config)
}

/// What a processor of this kind needs to multiply and add in one step, under the names of the code generator.
#[cfg(feature = "compiler")]
const FUSING: [&str; 6] = [
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_avx",
    "has_fma",
];

/// Sees to it that relaxed SIMD gives the same bits of NaN everywhere.
///
/// Where a processor cannot multiply and add in one step, wasmtime calls a function of the host, and its result keeps the bits
/// that the host gives to NaN. So code for other machines takes the instruction for granted, as all processors of this kind have
/// it since 2013, and one that lacks it refuses guests with relaxed SIMD; the portable interpreter runs them there.
fn fuse(config: &mut Config, target: Option<&str>) {
    match target {
        #[cfg(feature = "compiler")]
        Some(target) if target.starts_with("x86_64") => {
            for flag in FUSING {
                // SAFETY: it says which instructions may be used; code that uses them is loaded only where they are.
                unsafe { config.cranelift_flag_enable(flag) };
            }
        }
        None if !fuses_here() => {
            config.wasm_relaxed_simd(false);
        }
        _ => {}
    }
}

#[cfg(target_arch = "x86_64")]
fn fuses_here() -> bool {
    is_x86_feature_detected!("avx") && is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn fuses_here() -> bool {
    true
}

/// WebAssembly proposals: what wasmtime supports at phase 4 and later is on already, shared-memory threads go off.
fn proposals(config: &mut Config, concurrency: bool) {
    config
        .wasm_threads(false)
        .wasm_component_model_map(true)
        .concurrency_support(concurrency)
        .wasm_component_model_async(concurrency);
}

fn for_windows(key: &EngineKey) -> bool {
    key.target
        .as_ref()
        .map_or(cfg!(windows), |target| target.contains("windows"))
}

fn unknown_target(target: &str) -> Error {
    Error::new(Kind::Usage, format!("no compiler for target `{target}`"))
        .with_hint(format!("one of {}", TARGETS.join(", ")))
}

fn fingerprint(key: &EngineKey, engine: &Engine) -> String {
    let mut hash = Sha256Hasher(Sha256::new());
    env!("CARGO_PKG_VERSION").hash(&mut hash);
    key.mode.name().hash(&mut hash);
    key.concurrency.hash(&mut hash);
    if key.restored {
        "restored".hash(&mut hash);
    }
    // Without a compiler there is nothing to be kept under this name.
    #[cfg(feature = "compiler")]
    engine.precompile_compatibility_hash().hash(&mut hash);
    #[cfg(not(feature = "compiler"))]
    let _ = engine;
    hex(&hash.0.finalize()[..16])
}

/// Lower-case hexadecimal, as digests are written everywhere.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Feeds what wasmtime says of an engine to SHA-256: std's own hasher may change with the compiler.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for mode in Mode::ALL {
            assert_eq!(TABLE[mode as usize].0, mode);
            assert_eq!(Mode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(Mode::from_name("fast"), None);
    }

    #[test]
    fn every_mode_and_machinery_has_a_fingerprint_of_its_own() {
        let mut seen = HashSet::new();
        for mode in Mode::ALL {
            for concurrency in [false, true] {
                for target in [None, Some(PULLEY.to_owned())] {
                    let key = EngineKey {
                        mode,
                        concurrency,
                        target,
                        ..EngineKey::default()
                    };
                    assert!(seen.insert(key.fingerprint().expect("a fingerprint")));
                }
            }
        }
    }

    #[test]
    fn a_stack_or_a_core_dump_does_not_change_compiled_code() {
        let usual = EngineKey::default();
        let other = EngineKey {
            stack: 8 << 20,
            coredump: true,
            ..EngineKey::default()
        };
        assert_eq!(
            usual.fingerprint().expect("one"),
            other.fingerprint().expect("the other")
        );
        assert!(!Engine::same(
            &engine(&usual).expect("one"),
            &engine(&other).expect("the other")
        ));
    }

    #[test]
    fn an_engine_is_made_once_per_key() {
        let key = EngineKey {
            mode: Mode::Metered,
            ..EngineKey::default()
        };
        assert!(Engine::same(
            &engine(&key).expect("one"),
            &engine(&key).expect("again")
        ));
    }

    #[test]
    fn every_target_can_be_compiled_for() {
        for target in TARGETS {
            let key = EngineKey {
                target: Some(target.into()),
                ..EngineKey::default()
            };
            let code = engine(&key)
                .expect("an engine")
                .precompile_module(b"\0asm\x01\0\0\0");
            assert!(code.is_ok(), "{target}: {:?}", code.err());
        }
    }

    #[test]
    fn impossible_keys_are_usage_errors() {
        let targets = ["sparc", "x86_64-unknown-none", ""];
        for target in targets {
            let key = EngineKey {
                target: Some(target.into()),
                ..EngineKey::default()
            };
            assert_eq!(engine(&key).err().map(|error| error.kind()), Some(Kind::Usage));
        }
        for stack in [0, 1000, MAX_STACK + 1] {
            let key = EngineKey {
                stack,
                ..EngineKey::default()
            };
            assert_eq!(engine(&key).err().map(|error| error.kind()), Some(Kind::Usage));
        }
    }
}
