//! An instance that was put back is as one that was made just now, byte for byte, whatever its guests did.

use super::super::memories::{Care, Images};
use super::super::slot::is_zero;
use super::super::{Beginning, Contents, Lease, Shared, WASM_PAGE};
use super::Beginnings;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use wasmtime::{Caller, Config, Engine, Instance, Linker, Module, Store, Val};

/// How each reset is looked at whole, and whether there are any.
const VERIFIED: Care = Care {
    verify: true,
    reset: true,
};

/// A guest that writes, sets its globals, grows, waits and traps, as numbers say.
const GUEST: &str = r#"(module
    (import "host" "wait" (func $wait))
    (memory (export "memory") 3 60)
    (table 2 funcref)
    (elem (i32.const 0) $small $large)
    (type $number (func (result i32)))
    (func $small (result i32) (i32.const 3))
    (func $large (result i32) (i32.const 40))
    (global $a (export "a") (mut i32) (i32.const 65536))
    (global $b (export "b") (mut i64) (i64.const -7))
    (global $c (export "c") (mut f64) (f64.const 0.5))
    (global $d (export "d") (mut v128) (v128.const i64x2 1 2))
    (func (export "run") (param $seed i32)
        (global.set $a (i32.add (global.get $a) (local.get $seed)))
        (global.set $b (i64.extend_i32_u (local.get $seed)))
        (global.set $c (f64.convert_i32_u (local.get $seed)))
        (global.set $d (i32x4.splat (local.get $seed)))
        (memory.fill
            (i32.rem_u (local.get $seed) (i32.const 100000))
            (local.get $seed)
            (i32.rem_u (local.get $seed) (i32.const 9000)))
        (if (i32.and (local.get $seed) (i32.const 1)) (then
            (if (i32.ge_s
                    (memory.grow (call_indirect (type $number) (i32.and (i32.shr_u (local.get $seed) (i32.const 1)) (i32.const 1))))
                    (i32.const 0))
                (then (memory.fill
                    (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 100000))
                    (i32.const 77) (i32.const 100000))))))
        (if (i32.and (local.get $seed) (i32.const 4)) (then (call $wait)))
        (if (i32.eqz (i32.and (local.get $seed) (i32.const 0x78))) (then unreachable)))
)"#;

const GLOBALS: [&str; 4] = ["a", "b", "c", "d"];

/// An instance with what it began with.
struct Guest {
    store: Store<()>,
    instance: Instance,
    beginnings: Beginnings,
}

struct Tested {
    engine: Engine,
    module: Module,
    linker: Linker<()>,
    images: Images,
    contents: Vec<u8>,
    made: AtomicU64,
}

impl Tested {
    fn new(care: Care) -> Self {
        let contents: Vec<u8> = (0..=250).cycle().step_by(31).take(2 * WASM_PAGE).collect();
        let image = Beginning {
            memory: 0,
            pages: 3,
            contents: Contents::Bytes(contents.clone()),
        };
        let mut config = Config::new();
        let shared = Shared::configure(&mut config);
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, GUEST).unwrap();
        let mut linker = Linker::new(&engine);
        linker
            .func_wrap_async("host", "wait", |_: Caller<'_, ()>, (): ()| Box::new(once()))
            .unwrap();
        Self {
            images: Images::with(&[image], 1, Some(shared), care).unwrap(),
            engine,
            module,
            linker,
            contents,
            made: AtomicU64::new(0),
        }
    }

    /// What is wrong with a guest before it runs; and the guest, where it can be put back.
    async fn guest(
        &self,
        rested: Option<Guest>,
        lease: Lease,
        globals: &[&str],
        seed: i32,
    ) -> wasmtime::Result<(usize, Option<Guest>)> {
        let mut guest = match rested {
            Some(guest) => guest,
            None => self.fresh(&lease, globals).await,
        };
        let wrong = self.differences(&mut guest);
        let run = guest
            .instance
            .get_typed_func::<i32, ()>(&mut guest.store, "run")?;
        if run.call_async(&mut guest.store, seed).await.is_err() {
            return Ok((wrong, None));
        }
        let rewound = guest.beginnings.rewind(&mut guest.store);
        Ok((wrong, rewound.then_some(guest)))
    }

    async fn fresh(&self, lease: &Lease, globals: &[&str]) -> Guest {
        self.made.fetch_add(1, Ordering::Relaxed);
        let mut store = Store::new(&self.engine, ());
        let instance = self.linker.instantiate_async(&mut store, &self.module).await;
        let instance = instance.unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let names: Vec<_> = globals.iter().map(|name| (*name).to_owned()).collect();
        let beginnings = Beginnings::of(lease, &mut store, &instance, memory, &names).unwrap();
        Guest {
            store,
            instance,
            beginnings,
        }
    }

    fn differences(&self, guest: &mut Guest) -> usize {
        let store = &mut guest.store;
        let memory = guest.instance.get_memory(&mut *store, "memory").unwrap();
        assert_eq!(memory.size(&*store), 3, "and it has the size that it had");
        let (begun, rest) = memory.data(&*store).split_at(self.contents.len());
        let bytes = usize::from(begun != self.contents) + usize::from(!is_zero(rest));
        let mut value = |name: &str| {
            guest
                .instance
                .get_global(&mut *store, name)
                .unwrap()
                .get(&mut *store)
        };
        let globals = [
            matches!(value("a"), Val::I32(65536)),
            matches!(value("b"), Val::I64(-7)),
            matches!(value("c"), Val::F64(bits) if f64::from_bits(bits).to_bits() == 0.5_f64.to_bits()),
            matches!(value("d"), Val::V128(bits) if bits.as_u128() == (2 << 64) + 1),
        ];
        bytes + globals.iter().filter(|right| !**right).count()
    }

    /// Guests one after another, each in the instance of the one before it where that was put back; how much was wrong.
    fn one_after_another(&self, guests: u32, globals: &[&str], seed: u32) -> usize {
        let (mut rested, mut seed, mut wrong) = (None::<Guest>, seed | 1, 0);
        for _ in 0..guests {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let lease = rested.as_ref().map(|guest| guest.beginnings.lease().clone());
            let lease = lease.unwrap_or_else(|| self.images.lease());
            let of = lease.clone();
            let guest = lease.drive(self.guest(rested.take(), of, globals, (seed >> 4).cast_signed()));
            let mut guest = std::pin::pin!(guest);
            let context = &mut Context::from_waker(Waker::noop());
            let mut polled = guest.as_mut().poll(context);
            // Some clients go while their guest waits.
            if polled.is_pending() && seed & 0x300_0000 != 0 {
                polled = guest.as_mut().poll(context);
            }
            if let Poll::Ready(done) = polled {
                let (found, again) = done.unwrap();
                wrong += found;
                rested = again;
            }
        }
        wrong
    }
}

/// Waits until it is polled once more.
async fn once() {
    let mut waited = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

#[test]
fn each_guest_finds_what_a_fresh_one_does() {
    let tested = Tested::new(VERIFIED);
    assert_eq!(tested.one_after_another(1000, &GLOBALS, 1), 0);
    let counts = tested.images.counts();
    assert_eq!((counts.different, counts.lost), (0, 0));
    assert!(
        counts.rewound > 500 && tested.made.load(Ordering::Relaxed) < 450,
        "{counts:?}"
    );
}

#[test]
fn so_they_do_on_several_threads() {
    let tested = Arc::new(Tested::new(VERIFIED));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let tested = &tested;
            scope.spawn(move || assert_eq!(tested.one_after_another(300, &GLOBALS, 100 + thread), 0));
        }
    });
    assert_eq!(tested.images.counts().different, 0);
}

#[test]
fn the_probe_finds_what_is_not_put_back() {
    let unreset = Care {
        reset: false,
        ..VERIFIED
    };
    assert!(Tested::new(unreset).one_after_another(20, &GLOBALS, 1) > 0);
    for missing in 0..GLOBALS.len() {
        let mut globals = GLOBALS.to_vec();
        globals.remove(missing);
        assert!(Tested::new(VERIFIED).one_after_another(20, &globals, 1) > 0);
    }
}

#[test]
fn nothing_is_put_back_by_who_does_not_drive_it() {
    let tested = Tested::new(VERIFIED);
    let lease = tested.images.lease();
    let of = lease.clone();
    let guest = std::pin::pin!(lease.drive(tested.guest(None, of, &GLOBALS, 8)));
    let Poll::Ready(done) = guest.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it does not wait")
    };
    let (_, guest) = done.unwrap();
    let Guest {
        mut store,
        beginnings,
        ..
    } = guest.unwrap();
    assert!(!beginnings.rewind(&mut store));
}
