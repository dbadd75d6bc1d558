//! Nothing of a guest is left for the next: every byte is compared, under all that makes it hard.

use super::memories::Care;
use super::slot::{KEPT, START_OVER, is_zero};
use super::*;
use crate::error::{Error, Kind};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use wasmtime::{Caller, Config, Engine, Linker, Memory, Module, Store};

/// How the tests have memories: looked at whole after each guest.
const VERIFIED: Care = Care {
    verify: true,
    reset: true,
};

const PAGES: u64 = 40;

/// A guest that writes here and there, grows, waits and traps, all as a number says.
const GUEST: &str = r#"(module
    (import "host" "wait" (func $wait))
    (memory (export "memory") 40 200)
    (func $next (param $seed i64) (result i64)
        (local.set $seed (i64.xor (local.get $seed) (i64.shl (local.get $seed) (i64.const 13))))
        (local.set $seed (i64.xor (local.get $seed) (i64.shr_u (local.get $seed) (i64.const 7))))
        (i64.xor (local.get $seed) (i64.shl (local.get $seed) (i64.const 17))))
    (func (export "run") (param $seed i64) (param $writes i32)
        (loop $again
            (local.set $seed (call $next (local.get $seed)))
            (i64.store
                (i32.wrap_i64 (i64.rem_u
                    (i64.shr_u (local.get $seed) (i64.const 8))
                    (i64.sub (i64.mul (i64.extend_i32_u (memory.size)) (i64.const 65536)) (i64.const 8))))
                (local.get $seed))
            (if (i64.eqz (i64.and (local.get $seed) (i64.const 0x700))) (then (call $wait)))
            (if (i64.eqz (i64.and (local.get $seed) (i64.const 0x7f000))) (then
                (drop (memory.grow (i32.wrap_i64 (i64.and (local.get $seed) (i64.const 7)))))))
            (local.set $writes (i32.sub (local.get $writes) (i32.const 1)))
            (br_if $again (local.get $writes)))
        (if (i64.eqz (i64.and (local.get $seed) (i64.const 3))) (then unreachable)))
)"#;

/// A sequence of numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// What memories of the tests begin with: pages that are full, empty, and neither.
fn contents() -> Vec<u8> {
    let mut numbers = Numbers(88);
    let mut bytes: Vec<u8> = (0..30 * WASM_PAGE)
        .map(|_| numbers.next().to_le_bytes()[0])
        .collect();
    bytes[10 * WASM_PAGE..20 * WASM_PAGE].fill(0);
    bytes[25 * WASM_PAGE + 100..].fill(0);
    bytes
}

/// A program with memories that are restored.
struct Tested {
    engine: Engine,
    module: Module,
    linker: Linker<()>,
    images: Images,
    contents: Arc<[u8]>,
}

impl Tested {
    fn new(care: Care) -> Self {
        Self::with(Contents::Bytes(contents()), care)
    }

    /// With an image that lies behind other things in a file, as in the cache.
    fn of_file(care: Care) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        for bytes in [vec![1; WASM_PAGE], contents(), vec![2; 100]] {
            file.write_all(&bytes).unwrap();
        }
        let length = contents().len();
        Self::with(Contents::File(Arc::new(file), WASM_PAGE as u64, length), care)
    }

    fn with(image: Contents, care: Care) -> Self {
        let contents = contents();
        let image = Beginning {
            memory: 0,
            pages: PAGES,
            contents: image,
        };
        let (engine, shared) = engine();
        let module = Module::new(&engine, GUEST).unwrap();
        let mut linker = Linker::new(&engine);
        linker
            .func_wrap_async("host", "wait", |_: Caller<'_, ()>, (): ()| Box::new(once()))
            .unwrap();
        let images = Images::with(&[image], 1, Some(shared), care).unwrap();
        Self {
            engine,
            module,
            linker,
            images,
            contents: contents.into(),
        }
    }

    /// One guest that looks at its memory first, and then fills it with what nobody else may see; says how many bytes were not as
    /// they should be.
    async fn guest(self: Arc<Self>, seed: u64) -> wasmtime::Result<usize> {
        let mut store = Store::new(&self.engine, ());
        let instance = self.linker.instantiate_async(&mut store, &self.module).await?;
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let mut wrong = self.differences(&store, memory);
        let mut numbers = Numbers(seed | 1);
        if numbers.below(2) == 0 {
            let size = memory.data_size(&store);
            if memory.grow_async(&mut store, numbers.next() % 30).await.is_ok() {
                wrong += usize::from(!is_zero(&memory.data(&store)[size..]));
            }
        }
        for _ in 0..numbers.below(20) {
            let at = numbers.below(memory.data_size(&store) - 5000);
            let length = numbers.below(5000);
            memory.data_mut(&mut store)[at..at + length].fill(0xA5);
        }
        let run = instance.get_typed_func::<(u64, u32), ()>(&mut store, "run")?;
        // A trap is an end like any other.
        let _ = run
            .call_async(&mut store, (numbers.next(), 1 + (numbers.next() % 300) as u32))
            .await;
        Ok(wrong)
    }

    fn differences(&self, store: &Store<()>, memory: Memory) -> usize {
        let found = memory.data(store);
        assert_eq!(found.len(), 40 * WASM_PAGE);
        if found[..self.contents.len()] == self.contents[..] && is_zero(&found[self.contents.len()..]) {
            return 0;
        }
        let expected = self.contents.iter().copied().chain(std::iter::repeat(0));
        found
            .iter()
            .zip(expected)
            .filter(|(one, other)| *one != other)
            .count()
    }
}

fn engine() -> (Engine, Shared) {
    let mut config = Config::new();
    let shared = Shared::configure(&mut config);
    (Engine::new(&config).unwrap(), shared)
}

/// Waits until it is polled once more.
async fn once() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls to the end.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

#[test]
fn each_guest_finds_what_a_fresh_one_does() {
    for tested in [Tested::new(VERIFIED), Tested::of_file(VERIFIED)] {
        let tested = Arc::new(tested);
        for seed in 0..300 {
            let wrong = finish(tested.images.drive(Arc::clone(&tested).guest(seed * 7919 + 1))).unwrap();
            assert_eq!(wrong, 0, "guest {seed}");
        }
        let counts = tested.images.counts();
        assert_eq!(
            (counts.made, counts.reset, counts.different, counts.lost),
            (1, 300, 0, 0)
        );
        assert!(counts.asked > 0 && counts.given_back == u64::from(300 / START_OVER));
    }
}

#[test]
fn the_probe_finds_what_is_not_put_back() {
    let tested = Arc::new(Tested::new(Care {
        reset: false,
        ..VERIFIED
    }));
    let guests = |seed| finish(tested.images.drive(Arc::clone(&tested).guest(seed))).unwrap();
    assert_eq!(guests(1), 0);
    assert!(guests(2) > 0, "and the second one sees the first");
}

#[test]
fn a_slot_whose_faults_are_missed_is_found_out() {
    let source = Arc::new(super::image::Source::new(&Contents::Bytes(contents()), 40 * WASM_PAGE).unwrap());
    let mut slot = super::slot::Slot::new(&source, 4 << 30, 1 << 20).unwrap();
    let method = super::kernel::method().unwrap();
    // SAFETY: the byte is in the memory, which is open.
    unsafe { slot.start().add(5000).write(1) };
    slot.reset(method, true).unwrap();
    assert!(!slot.is_as_new().unwrap(), "the kernel was not asked");
    slot.reset(method, false).unwrap();
    assert!(slot.is_as_new().unwrap());
    // From now on that page is known.
    // SAFETY: as above.
    unsafe { slot.start().add(5000).write(1) };
    slot.reset(method, true).unwrap();
    assert!(slot.is_as_new().unwrap());
}

#[test]
fn a_guest_that_writes_where_others_wrote_needs_no_kernel() {
    let tested = Arc::new(Tested::new(Care {
        verify: false,
        reset: true,
    }));
    for _ in 0..100 {
        assert_eq!(
            finish(tested.images.drive(Arc::clone(&tested).guest(3))).unwrap(),
            0
        );
    }
    let counts = tested.images.counts();
    assert!(counts.asked < 20, "{counts:?}");
}

/// Guests of several threads at once, each polled by whichever thread comes next, while others make faults all the time.
#[test]
fn guests_may_move_from_thread_to_thread() {
    const THREADS: usize = 4;
    const GUESTS: u32 = 300;
    let tested = Arc::new(Tested::new(VERIFIED));
    let over = AtomicBool::new(false);
    let (made, ended) = (AtomicU32::new(0), AtomicU32::new(0));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::channel()).unzip();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let pages = vec![1_u8; 4 << 20];
                std::hint::black_box(&pages);
                std::thread::yield_now();
            }
        });
        for (own, inbox) in receivers.into_iter().enumerate() {
            let (senders, tested, made, ended, over) = (senders.clone(), &tested, &made, &ended, &over);
            scope.spawn(move || {
                let mut numbers = Numbers(own as u64 + 1);
                while !over.load(Ordering::Relaxed) {
                    if made.fetch_add(1, Ordering::Relaxed) < GUESTS {
                        let guest = tested.images.drive(Arc::clone(tested).guest(numbers.next()));
                        let _ = senders[own].send(Box::pin(guest));
                    }
                    let Ok(mut guest) = inbox.try_recv() else {
                        std::thread::yield_now();
                        continue;
                    };
                    match guest.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                        // Some are left where they are, as if their client had gone.
                        Poll::Pending if numbers.below(50) > 0 => {
                            let _ = senders[numbers.below(THREADS)].send(guest);
                            continue;
                        }
                        Poll::Pending => drop(guest),
                        Poll::Ready(wrong) => assert_eq!(wrong.unwrap(), 0),
                    }
                    if ended.fetch_add(1, Ordering::Relaxed) + 1 == GUESTS {
                        over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let counts = tested.images.counts();
    assert_eq!(
        (counts.reset, counts.different, counts.lost),
        (u64::from(GUESTS), 0, 0)
    );
    assert!(counts.made > 1, "{counts:?}");
}

#[test]
fn pages_that_the_kernel_moved_are_put_back_too() {
    let source = Arc::new(super::image::Source::new(&Contents::Bytes(contents()), 40 * WASM_PAGE).unwrap());
    let mut slot = super::slot::Slot::new(&source, 4 << 30, 1 << 20).unwrap();
    let method = super::kernel::method().unwrap();
    let mut numbers = Numbers(5);
    for _ in 0..100 {
        let before = super::kernel::faults();
        let size = 40 * WASM_PAGE + numbers.below(20) * WASM_PAGE;
        slot.grow(size).unwrap();
        for _ in 0..20 {
            // SAFETY: the addresses are in the memory, which is open up to there.
            unsafe {
                slot.start()
                    .add(numbers.below(size - 4000))
                    .write_bytes(9, numbers.below(4000));
            };
        }
        let at = numbers.below(size / 4096) * 4096;
        let advice = [
            libc::MADV_DONTNEED,
            libc::MADV_FREE,
            libc::MADV_PAGEOUT,
            libc::MADV_COLD,
        ][numbers.below(4)];
        // SAFETY: whole pages of the memory; whichever way the kernel takes the advice, it is for the reset to cope.
        unsafe { libc::madvise(slot.start().add(at).cast(), 4096.min(size - at), advice) };
        slot.reset(method, before == super::kernel::faults()).unwrap();
        assert!(slot.is_as_new().unwrap());
    }
}

#[test]
fn what_the_kernel_writes_for_the_host_is_seen() {
    use std::io::Read;
    let source = Arc::new(super::image::Source::new(&Contents::Bytes(contents()), 40 * WASM_PAGE).unwrap());
    let mut slot = super::slot::Slot::new(&source, 4 << 30, 1 << 20).unwrap();
    let method = super::kernel::method().unwrap();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    for page in 0..100 {
        writer.write_all(b"from outside").unwrap();
        let before = super::kernel::faults();
        // SAFETY: the bytes are in the memory, which is open, and nobody else looks at them.
        let buffer = unsafe { std::slice::from_raw_parts_mut(slot.start().add(page * 7000), 12) };
        reader.read_exact(buffer).unwrap();
        slot.reset(method, before == super::kernel::faults()).unwrap();
        assert!(slot.is_as_new().unwrap());
    }
}

#[test]
fn little_is_kept_of_a_guest_that_wrote_much() {
    let length = 3 * KEPT;
    let source = Arc::new(super::image::Source::new(&Contents::Bytes(vec![1; length]), length).unwrap());
    let mut slot = super::slot::Slot::new(&source, 4 << 30, 1 << 20).unwrap();
    let method = super::kernel::method().unwrap();
    slot.grow(2 * length).unwrap();
    // SAFETY: all of it is open.
    unsafe { slot.start().write_bytes(3, 2 * length) };
    slot.reset(method, false).unwrap();
    assert_eq!(slot.kept(), 2 * KEPT, "of the image, and of what was grown");
    assert!(slot.is_as_new().unwrap());
}

#[test]
fn a_stack_that_nobody_reaches_into_takes_no_room() {
    // As compilers of C put it: before the data, and far larger than what is used of it.
    let stack = 16 << 20;
    let mut bytes = vec![0; stack];
    bytes.extend([1; 5000]);
    let source = Arc::new(super::image::Source::new(&Contents::Bytes(bytes), 20 << 20).unwrap());
    let mut slots: Vec<_> = (0..3)
        .map(|_| super::slot::Slot::new(&source, 4 << 30, 1 << 20).unwrap())
        .collect();
    let method = super::kernel::method().unwrap();
    for slot in &mut slots {
        // SAFETY: the bytes are in the memory, which is open.
        unsafe { slot.start().add(stack - 9000).write_bytes(7, 9000) };
        slot.reset(method, false).unwrap();
    }
    assert!(source.room() <= 1 << 20, "{}", source.room());
    assert!(slots.iter_mut().all(|slot| slot.is_as_new().unwrap()));
}

#[test]
fn places_that_nobody_uses_go() {
    let tested = Arc::new(Tested::new(VERIFIED));
    finish(tested.images.drive(Arc::clone(&tested).guest(1))).unwrap();
    assert!(tested.images.counts().waiting == 1 && tested.images.counts().kept > 0);
    for _ in 0..2 {
        tested.images.age();
        tested.images.tidy();
    }
    assert_eq!(
        (tested.images.counts().waiting, tested.images.counts().kept),
        (0, 0)
    );
}

#[test]
fn a_guest_that_does_not_fit_is_told_so() {
    let tested = Arc::new(Tested::new(VERIFIED));
    let mut guests = Vec::new();
    let refused = loop {
        let mut store = Store::new(&tested.engine, ());
        let made = async {
            tested
                .linker
                .instantiate_async(&mut store, &tested.module)
                .await?;
            Ok(store)
        };
        match finish(tested.images.drive(made)) {
            Ok(store) => guests.push(store),
            Err(error) => break error,
        }
    };
    assert_eq!(guests.len(), crate::mode::POOL as usize);
    let kind = refused.downcast_ref::<Error>().map(Error::kind);
    assert_eq!(kind, Some(Kind::Busy));
    guests.pop();
    assert_eq!(
        finish(tested.images.drive(Arc::clone(&tested).guest(1))).unwrap(),
        0
    );
}

#[test]
fn a_memory_that_left_its_future_is_put_back_whole() {
    let tested = Arc::new(Tested::new(VERIFIED));
    for _ in 0..3 {
        let mut store = Store::new(&tested.engine, ());
        let made = async {
            let instance = tested
                .linker
                .instantiate_async(&mut store, &tested.module)
                .await?;
            Ok((instance.get_memory(&mut store, "memory").unwrap(), store))
        };
        let (memory, mut store) = finish(tested.images.drive(made)).unwrap();
        memory.data_mut(&mut store)[..9000].fill(1);
        drop(store);
    }
    let counts = tested.images.counts();
    assert_eq!((counts.asked, counts.different), (3, 0));
}

#[test]
fn a_memory_is_never_made_by_guess() {
    let (engine, shared) = engine();
    let module = Module::new(&engine, "(module (memory 2))").unwrap();
    let made = async |memories: u32, pages: u64| {
        let image = Beginning {
            memory: 0,
            pages,
            contents: Contents::Bytes(vec![1; 10]),
        };
        let images = Images::with(&[image], memories, Some(shared.clone()), VERIFIED).unwrap();
        let driven = images.drive(async {
            let mut store = Store::new(&engine, ());
            let linker = Linker::new(&engine);
            linker.instantiate_async(&mut store, &module).await?;
            linker.instantiate_async(&mut store, &module).await
        });
        driven.await.map(drop).map_err(|error| format!("{error:#}"))
    };
    assert_eq!(finish(made(2, 2)), Ok(()));
    assert!(finish(made(1, 2)).unwrap_err().contains("more than its 1"));
    assert!(
        finish(made(2, 3))
            .unwrap_err()
            .contains("has 131072 bytes, and its image 196608")
    );
    let undriven = finish(Linker::new(&engine).instantiate_async(&mut Store::new(&engine, ()), &module));
    assert!(undriven.is_err_and(|error| format!("{error:#}").contains("nobody who drives it")));
    for (memories, pages, bytes) in [(0, 1, 1), (1, 0, 0), (1, 1, WASM_PAGE + 1)] {
        let image = Beginning {
            memory: 0,
            pages,
            contents: Contents::Bytes(vec![1; bytes]),
        };
        assert!(Images::new(&[image], memories, None).is_err());
    }
}

#[test]
fn a_guest_ends_where_its_memory_does() {
    let (engine, shared) = engine();
    let text = r#"(module (memory (export "memory") 1 10)
        (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "grow") (result i32) (memory.grow (i32.const 2))))"#;
    let module = Module::new(&engine, text).unwrap();
    let images = Images::with(&[], 1, Some(shared), VERIFIED).unwrap();
    for _ in 0..3 {
        let driven = images.drive(async {
            let mut store = Store::new(&engine, ());
            let instance = Linker::new(&engine)
                .instantiate_async(&mut store, &module)
                .await?;
            let grow = instance.get_typed_func::<(), i32>(&mut store, "grow")?;
            let mut reads = Vec::new();
            for grown in [false, true] {
                if grown {
                    assert_eq!(grow.call_async(&mut store, ()).await?, 1);
                }
                for at in [65535, 65536, 3 * 65536 - 1, 3 * 65536, i32::MAX, -1] {
                    let read = instance.get_typed_func::<i32, i32>(&mut store, "read")?;
                    reads.push(read.call_async(&mut store, at).await.is_ok());
                }
            }
            Ok(reads)
        });
        let reads = finish(driven).unwrap();
        assert_eq!(
            reads,
            [
                true, false, false, false, false, false, true, true, true, false, false, false
            ]
        );
    }
}

#[test]
fn without_the_kernels_help_all_is_given_back() {
    let source = Arc::new(super::image::Source::new(&Contents::Bytes(contents()), 40 * WASM_PAGE).unwrap());
    let mut slot = super::slot::Slot::new(&source, 4 << 30, 1 << 20).unwrap();
    for known in [false, true] {
        slot.grow(50 * WASM_PAGE).unwrap();
        // SAFETY: all of it is open.
        unsafe { slot.start().write_bytes(3, 50 * WASM_PAGE) };
        slot.reset(&super::kernel::Method::GivenBack, known).unwrap();
        assert!(slot.is_as_new().unwrap());
        assert_eq!(slot.kept(), 0);
    }
}

#[test]
fn this_kernel_can_be_asked() {
    // Where it cannot, the tests above show less than they seem to.
    let method = super::kernel::method().unwrap();
    assert!(matches!(
        method,
        super::kernel::Method::Named { counted: true, .. }
    ));
}
