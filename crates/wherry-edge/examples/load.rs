//! A load generator for `benchmarks/`: connections that send one request after the other, on one thread.
//!
//! `load ADDRESS CONNECTIONS SECONDS` prints requests a second and the 99th percentile of their times in microseconds. An answer
//! that is not 200 ends it: what fails fast is not fast.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

type Failure = Box<dyn Error>;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ENOUGH: usize = 64 << 10;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, seconds] = words.as_slice() else {
        return Err("load ADDRESS CONNECTIONS SECONDS".into());
    };
    let (connections, seconds): (usize, f64) = (connections.parse()?, seconds.parse()?);
    let time = Duration::from_secs_f64(seconds);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut times = LocalSet::new().block_on(&runtime, loaded(address.clone(), connections, time))?;
    times.sort_unstable();
    let last = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    let count = u32::try_from(times.len())?;
    #[expect(clippy::print_stdout, reason = "it is its output")]
    {
        println!("{:.1} {}", f64::from(count) / seconds, last.as_micros());
    }
    Ok(())
}

/// How long each request took, on all connections.
async fn loaded(address: String, connections: usize, time: Duration) -> Result<Vec<Duration>, Failure> {
    let times = Rc::new(RefCell::new(Vec::new()));
    let end = Instant::now() + time;
    let clients: Vec<_> = (0..connections)
        .map(|_| tokio::task::spawn_local(client(address.clone(), end, Rc::clone(&times))))
        .collect();
    for client in clients {
        client.await?.map_err(|error| error.to_string())?;
    }
    Ok(times.take())
}

async fn client(address: String, end: Instant, times: Rc<RefCell<Vec<Duration>>>) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; ENOUGH];
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(());
        }
        stream.write_all(REQUEST).await?;
        let mut filled = 0;
        while !is_whole(&buffer[..filled])? {
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Err("the server closed the connection".into()),
                more => filled += more,
            }
        }
        times.borrow_mut().push(begun.elapsed());
    }
}

/// Whether all of an answer is there.
fn is_whole(answer: &[u8]) -> Result<bool, Failure> {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = std::str::from_utf8(&answer[..head])?;
    if !text.starts_with("HTTP/1.1 200 ") {
        return Err(format!("not served: {text}").into());
    }
    let length = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length {
        Some((_, length)) => Ok(answer.len() - head - 4 >= length.parse()?),
        None => Ok(answer.ends_with(b"\r\n0\r\n\r\n")),
    }
}
