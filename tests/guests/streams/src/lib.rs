//! Streams and futures in every position, for the tests of what hosts make of them.

wit_bindgen::generate!({ world: "streams", path: "wit" });

use exports::test::streams::flows::{Counter, Guest, GuestCounter, Told};
use exports::test::streams::guest::Guest as Asking;
use std::cell::{Cell, RefCell};
use test::streams::host;
use test::streams::things::{Event, Mood, Point};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

struct Component;

export!(Component);

thread_local! {
    static CLOSED: Cell<u32> = const { Cell::new(0) };
    static LISTENERS: RefCell<Vec<StreamWriter<String>>> = const { RefCell::new(Vec::new()) };
}

fn note_closed() {
    CLOSED.set(CLOSED.get() + 1);
}

/// A counter.
struct Counting(Cell<u32>);

impl GuestCounter for Counting {
    fn new(from: u32) -> Self {
        Self(Cell::new(from))
    }

    fn next(&self) -> u32 {
        self.0.set(self.0.get() + 1);
        self.0.get() - 1
    }

    async fn all(&self) -> StreamReader<u32> {
        let from = self.0.get();
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            for number in from.. {
                if writer.write_one(number).await.is_some() {
                    return note_closed();
                }
            }
        });
        reader
    }
}

/// A stream of what `make` gives for each number.
macro_rules! made {
    ($count:expr, $make:expr) => {{
        let (mut writer, reader) = wit_stream::new();
        let count: u32 = $count;
        spawn_local(async move {
            let make = $make;
            for number in 0..count {
                if writer.write_one(make(number)).await.is_some() {
                    return note_closed();
                }
            }
        });
        reader
    }};
}

/// A stream of what comes out of another one.
macro_rules! echo {
    ($stream:expr) => {{
        let mut stream = $stream;
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            while let Some(item) = stream.next().await {
                if writer.write_one(item).await.is_some() {
                    return note_closed();
                }
            }
        });
        reader
    }};
}

fn point(number: u32) -> Point {
    Point { x: -(number as i32), y: f64::from(number) / 2.0, label: format!("point {number}") }
}

fn endless() -> ! {
    loop {
        std::hint::black_box(());
    }
}

impl Guest for Component {
    type Counter = Counting;

    async fn bytes(pieces: u32, size: u32) -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            for piece in 0..pieces {
                if !writer.write_all(vec![piece as u8; size as usize]).await.is_empty() {
                    return note_closed();
                }
            }
        });
        reader
    }

    async fn numbers(count: u32) -> StreamReader<u32> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            if !writer.write_all((0..count).collect()).await.is_empty() {
                note_closed();
            }
        });
        reader
    }

    async fn words(count: u32) -> StreamReader<String> {
        made!(count, |number| format!("word {number}"))
    }

    async fn ticks(count: u32) -> StreamReader<()> {
        made!(count, |_| ())
    }

    async fn points(count: u32) -> StreamReader<Point> {
        made!(count, point)
    }

    async fn counters(count: u32) -> StreamReader<Counter> {
        made!(count, |number| Counter::new(Counting(Cell::new(number))))
    }

    async fn breaking(after: u32) -> StreamReader<u32> {
        made!(u32::MAX, move |number| {
            if number >= after {
                std::arch::wasm32::unreachable();
            }
            number
        })
    }

    async fn spinning(after: u32) -> StreamReader<u32> {
        made!(u32::MAX, move |number| if number < after { number } else { endless() })
    }

    async fn silent() -> StreamReader<u8> {
        let (writer, reader) = wit_stream::new();
        spawn_local(async move {
            let _writer: StreamWriter<u8> = writer;
            std::future::pending::<()>().await;
        });
        reader
    }

    async fn listen() -> StreamReader<String> {
        let (writer, reader) = wit_stream::new();
        LISTENERS.with_borrow_mut(|listeners| listeners.push(writer));
        reader
    }

    async fn push(word: String) -> bool {
        let listener = LISTENERS.with_borrow_mut(Vec::pop);
        let Some(mut listener) = listener else {
            return false;
        };
        let refused = listener.write_one(word).await;
        if refused.is_none() {
            LISTENERS.with_borrow_mut(|listeners| listeners.push(listener));
        } else {
            note_closed();
        }
        refused.is_none()
    }

    fn closed() -> u32 {
        CLOSED.get()
    }

    async fn later(word: String) -> FutureReader<String> {
        let (writer, reader) = wit_future::new(String::new);
        spawn_local(async move {
            if writer.write(format!("later {word}")).await.is_err() {
                note_closed();
            }
        });
        reader
    }

    async fn never() -> FutureReader<String> {
        let (writer, reader) = wit_future::new(String::new);
        spawn_local(async move {
            std::future::pending::<()>().await;
            drop(writer);
        });
        reader
    }

    async fn signal() -> FutureReader<()> {
        let (writer, reader) = wit_future::new(|| ());
        spawn_local(async move {
            let _ = writer.write(()).await;
        });
        reader
    }

    async fn tell(title: String, body: Vec<u8>) -> Told {
        let (mut writer, reader) = wit_stream::new();
        let (end, done) = wit_future::new(|| Err("nobody said".into()));
        spawn_local(async move {
            let length = body.len() as u32;
            let rest = writer.write_all(body).await;
            drop(writer);
            let _ = end.write(if rest.is_empty() { Ok(length) } else { Err("closed".into()) }).await;
        });
        Told { title, body: reader, done }
    }

    async fn both() -> (StreamReader<u32>, StreamReader<u32>) {
        let (mut first, one) = wit_stream::new();
        let (mut second, two) = wit_stream::new();
        spawn_local(async move {
            for number in 0..10 {
                // The second is written first: who reads the first alone waits.
                second.write_one(number * 2 + 1).await;
                first.write_one(number * 2).await;
            }
        });
        (one, two)
    }

    async fn maybe(there: bool) -> Option<StreamReader<u8>> {
        if there { Some(Self::bytes(2, 3).await) } else { None }
    }

    async fn fallible(good: bool) -> Result<StreamReader<u32>, String> {
        if good { Ok(Self::numbers(3).await) } else { Err("not good".into()) }
    }

    async fn total(mut stream: StreamReader<u8>) -> u64 {
        let mut total = 0;
        let mut buffer = Vec::with_capacity(65536);
        loop {
            let (status, read) = stream.read(buffer).await;
            total += read.iter().map(|&byte| u64::from(byte)).sum::<u64>();
            buffer = read;
            buffer.clear();
            if status == StreamResult::Dropped {
                return total;
            }
        }
    }

    async fn some(mut stream: StreamReader<u8>, most: u32) -> Vec<u8> {
        let mut found = Vec::new();
        while (found.len() as u32) < most {
            let (status, read) = stream.read(Vec::with_capacity(most as usize - found.len())).await;
            found.extend(read);
            if status == StreamResult::Dropped {
                break;
            }
        }
        found
    }

    async fn sum(mut stream: StreamReader<u32>) -> u64 {
        let mut total = 0;
        let mut buffer = Vec::with_capacity(100);
        loop {
            let (status, read) = stream.read(buffer).await;
            total += read.iter().map(|&number| u64::from(number)).sum::<u64>();
            buffer = read;
            buffer.clear();
            if status == StreamResult::Dropped {
                return total;
            }
        }
    }

    async fn joined(stream: StreamReader<String>) -> String {
        stream.collect().await.join(" ")
    }

    async fn counted(mut stream: StreamReader<()>) -> u32 {
        // Vectors of nothing have room for any number: one read takes all that is there.
        let mut count = 0;
        loop {
            let (status, read) = stream.read(Vec::new()).await;
            count += read.len() as u32;
            if status == StreamResult::Dropped {
                return count;
            }
        }
    }

    async fn awaited(value: FutureReader<String>) -> String {
        format!("got {}", value.await)
    }

    async fn signalled(value: FutureReader<()>) -> bool {
        value.await;
        true
    }

    async fn dropped(_: StreamReader<u8>, _: StreamReader<String>, _: FutureReader<String>) {}

    async fn longest(streams: Vec<StreamReader<u8>>) -> u32 {
        let mut longest = 0;
        for stream in streams {
            longest = longest.max(stream.collect().await.len());
        }
        longest as u32
    }

    async fn echo_bytes(mut stream: StreamReader<u8>) -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            let mut buffer = Vec::with_capacity(65536);
            loop {
                let (status, read) = stream.read(buffer).await;
                buffer = writer.write_all(read).await;
                if !buffer.is_empty() {
                    return note_closed();
                }
                if status == StreamResult::Dropped {
                    return;
                }
            }
        });
        reader
    }

    async fn echo_numbers(stream: StreamReader<i64>) -> StreamReader<i64> {
        echo!(stream)
    }

    async fn echo_floats(stream: StreamReader<f32>) -> StreamReader<f32> {
        echo!(stream)
    }

    async fn echo_flags(stream: StreamReader<bool>) -> StreamReader<bool> {
        echo!(stream)
    }

    async fn echo_words(stream: StreamReader<String>) -> StreamReader<String> {
        echo!(stream)
    }

    async fn echo_points(stream: StreamReader<Point>) -> StreamReader<Point> {
        echo!(stream)
    }

    async fn echo_events(stream: StreamReader<Event>) -> StreamReader<Event> {
        echo!(stream)
    }

    async fn echo_moods(stream: StreamReader<Mood>) -> StreamReader<Mood> {
        echo!(stream)
    }

    async fn echo_lists(stream: StreamReader<Vec<Option<u16>>>) -> StreamReader<Vec<Option<u16>>> {
        echo!(stream)
    }

    async fn echo_results(stream: StreamReader<Result<String, u8>>) -> StreamReader<Result<String, u8>> {
        echo!(stream)
    }

    async fn echo_future(value: FutureReader<Point>) -> FutureReader<Point> {
        let (writer, reader) = wit_future::new(|| point(0));
        spawn_local(async move {
            let _ = writer.write(value.await).await;
        });
        reader
    }

    async fn same(stream: StreamReader<String>) -> StreamReader<String> {
        stream
    }
}

impl Asking for Component {
    async fn fetched(names: Vec<String>) -> Vec<String> {
        let mut found = Vec::new();
        for name in names {
            found.push(host::fetch(name).await);
        }
        found
    }

    async fn checked(value: u32) -> Result<u32, String> {
        host::check(value).await
    }

    async fn lines(name: String) -> StreamReader<String> {
        echo!(host::lines(name).await)
    }

    async fn store(name: String, body: Vec<u8>) -> u64 {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_all(body).await;
        });
        host::store(name, reader).await
    }

    async fn answer(question: Point) -> Point {
        host::answer(question).await.await
    }

    async fn quick(body: Vec<u8>) -> u32 {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_all(body).await;
        });
        host::quick(reader)
    }
}
