//! The application of `answering.c` as a handler of WASI 0.3: a path for each thing that a server has to get right.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Trailers};
use wasip3::random::random::get_random_u64;
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamWriter};
use wasip3::{spawn_local, wit_future, wit_stream};

struct Application;

wasip3::http::service::export!(Application);

type End = FutureReader<Result<Option<Trailers>, ErrorCode>>;

/// What an instance that is used again would still have.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many requests are in this instance, and the most that there ever were.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

const BLOCK: usize = 65536;
const MILLISECOND: u64 = 1_000_000;

impl wasip3::exports::http::handler::Guest for Application {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let (fields, mut refused) = (Fields::new(), 0);
        let mut field = |name: &str, value: &str| {
            refused += usize::from(fields.append(name, value.as_bytes()).is_err());
        };
        match path.as_str() {
            "/trap" => panic!("as it was asked to"),
            "/loop" => endless(),
            "/silent" => return Err(ErrorCode::InternalError(None)),
            "/greedy" => greedy(),
            "/short" => field("content-length", "100"),
            "/long" => field("content-length", "3"),
            "/exact" => field("content-length", "13"),
            "/no-length" => field("content-length", "many"),
            "/forbidden" => {
                field("connection", "close");
                field("transfer-encoding", "chunked");
                field("keep-alive", "timeout=1");
                field("upgrade", "h2c");
                field("x-split", "a\r\nx-second: b");
                field("bad name", "value");
            }
            _ => {}
        }
        let (body, end) = match path.as_str() {
            "/echo" => {
                let (_ended, done) = wit_future::new(|| Ok(()));
                Request::consume_body(request, done)
            }
            "/whole" => {
                let (_ended, done) = wit_future::new(|| Ok(()));
                let (body, _trailers) = Request::consume_body(request, done);
                said(body.collect().await)
            }
            "/large" => written(|mut body| async move {
                for _ in 0..128 {
                    if !body.write_all(vec![0; BLOCK]).await.is_empty() {
                        // Its client went away.
                        break;
                    }
                }
            }),
            "/late-trap" | "/late-loop" => {
                let traps = path == "/late-trap";
                written(move |mut body| async move {
                    for _ in 0..16 {
                        body.write_all(vec![0; BLOCK]).await;
                    }
                    assert!(!traps, "as it was asked to");
                    endless()
                })
            }
            "/after" => {
                // The answer is whole; what follows costs its client nothing.
                spawn_local(async {
                    monotonic_clock::wait_for(50 * MILLISECOND).await;
                    endless()
                });
                said("done".into())
            }
            "/trailers" => {
                let fields = Fields::new();
                fields.append("x-sum", b"42").expect("a field that may be set");
                trailed("body".into(), Some(fields))
            }
            "/sleep" => {
                monotonic_clock::wait_for(300 * MILLISECOND).await;
                said("slept".into())
            }
            "/together" => said(together().await.to_string().into()),
            "/random" => said(get_random_u64().to_string().into()),
            "/count" => said(count().into()),
            "/forbidden" => said(refused.to_string().into()),
            "/" | "/short" | "/long" | "/exact" | "/no-length" => said("Hello, World!".into()),
            told if told.starts_with("/tell") => said(tell(&request, told)),
            _ => said(Vec::new()),
        };
        let (response, _sent) = Response::new(fields, Some(body), end);
        let status = match path.as_str() {
            "/empty" => 204,
            "/informational" => 101,
            "/teapot" => 418,
            _ => 200,
        };
        response.set_status_code(status).expect("a status");
        Ok(response)
    }
}

/// A body that is written while it is sent.
fn written<F: Future<Output = ()> + 'static>(
    write: impl FnOnce(StreamWriter<u8>) -> F,
) -> (StreamReader<u8>, End) {
    let (body, contents) = wit_stream::new();
    spawn_local(write(body));
    (contents, ended(None))
}

/// A body that is there.
fn said(bytes: Vec<u8>) -> (StreamReader<u8>, End) {
    trailed(bytes, None)
}

fn trailed(bytes: Vec<u8>, trailers: Option<Trailers>) -> (StreamReader<u8>, End) {
    let (contents, _) = written(|mut body| async move {
        body.write_all(bytes).await;
    });
    (contents, ended(trailers))
}

fn ended(trailers: Option<Trailers>) -> End {
    let (end, ended) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        let _ = end.write(Ok(trailers)).await;
    });
    ended
}

/// What the guest is told of a request: method, target, authority and fields.
fn tell(request: &Request, path: &str) -> Vec<u8> {
    let method = match request.get_method() {
        Method::Get => 0,
        Method::Head => 1,
        Method::Post => 2,
        Method::Put => 3,
        Method::Delete => 4,
        Method::Connect => 5,
        Method::Options => 6,
        Method::Trace => 7,
        Method::Patch => 8,
        Method::Other(_) => 9,
    };
    let authority = request.get_authority().unwrap_or_default();
    let mut told = format!("{method} {path} {authority}\n").into_bytes();
    for (name, value) in request.get_headers().copy_all() {
        told.extend([name.as_bytes(), b": ", &value, b"\n"].concat());
    }
    told
}

/// Everything that the next request would see of this one.
fn count() -> String {
    let mut found = 0;
    for _ in 0..64 {
        let mut page = Vec::<u8>::with_capacity(BLOCK);
        let spare = page.spare_capacity_mut();
        for place in (0..BLOCK).step_by(64) {
            // SAFETY: memory of a guest always holds something; what it is, is the question.
            found += usize::from(unsafe { spare[place].as_ptr().read_volatile() } == 0xA5);
        }
        page.resize(BLOCK, 0xA5);
        std::mem::forget(black_box(page));
    }
    format!("{} {found}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Waits a while, and says how many requests were in this instance at once.
async fn together() -> usize {
    MOST.fetch_max(LIVE.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    monotonic_clock::wait_for(100 * MILLISECOND).await;
    LIVE.fetch_sub(1, Ordering::Relaxed);
    MOST.load(Ordering::Relaxed)
}

fn endless() -> ! {
    loop {
        black_box(());
    }
}

fn greedy() -> ! {
    loop {
        std::mem::forget(black_box(vec![1u8; 1 << 20]));
    }
}
