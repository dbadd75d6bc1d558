//! A load generator for `benchmarks/`: connections that send one request after the other, on one thread.
//!
//! `load ADDRESS CONNECTIONS SECONDS [PATH BYTES]` prints requests a second and the 99th percentile of their times in
//! microseconds. With a path it posts so many bytes there, reads while it writes, and wants as many back. An answer that is not
//! 200 ends it: what fails fast is not fast.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

type Failure = Box<dyn Error>;

/// The most bytes that are read at once.
const PIECE: usize = 256 << 10;

/// What every client sends, and how much comes back.
struct Work {
    address: String,
    head: Vec<u8>,
    body: Vec<u8>,
    end: Instant,
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (address, connections, seconds, path, size) = match words.as_slice() {
        [address, connections, seconds] => (address, connections, seconds, "/", 0),
        [address, connections, seconds, path, size] => {
            (address, connections, seconds, path.as_str(), size.parse()?)
        }
        _ => return Err("load ADDRESS CONNECTIONS SECONDS [PATH BYTES]".into()),
    };
    let (connections, seconds): (usize, f64) = (connections.parse()?, seconds.parse()?);
    let head = match size {
        0 => format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
        _ => format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"),
    };
    let work = Work {
        address: address.clone(),
        head: head.into_bytes(),
        body: vec![b'x'; size],
        end: Instant::now() + Duration::from_secs_f64(seconds),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut times = LocalSet::new().block_on(&runtime, loaded(Rc::new(work), connections))?;
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
async fn loaded(work: Rc<Work>, connections: usize) -> Result<Vec<Duration>, Failure> {
    let times = Rc::new(RefCell::new(Vec::new()));
    let clients: Vec<_> = (0..connections)
        .map(|_| spawn_local(client(Rc::clone(&work), Rc::clone(&times))))
        .collect();
    for client in clients {
        client.await?.map_err(|error| error.to_string())?;
    }
    Ok(times.take())
}

async fn client(work: Rc<Work>, times: Rc<RefCell<Vec<Duration>>>) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(&work.address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; if work.body.is_empty() { 4 << 10 } else { PIECE }];
    loop {
        let begun = Instant::now();
        if begun >= work.end {
            return Ok(());
        }
        let (mut from, mut to) = stream.split();
        let sent = async {
            to.write_all(&work.head).await?;
            to.write_all(&work.body).await?;
            Ok::<_, Failure>(())
        };
        let received = async {
            let mut answer = Answer::default();
            while !answer.is_whole() {
                match from.read(&mut buffer).await? {
                    0 => return Err("the server closed the connection".into()),
                    count => answer.take(&buffer[..count])?,
                }
            }
            Ok::<_, Failure>(answer.body)
        };
        let ((), size) = tokio::try_join!(sent, received)?;
        if !work.body.is_empty() && size != work.body.len() {
            return Err(format!("{size} bytes came back").into());
        }
        times.borrow_mut().push(begun.elapsed());
    }
}

/// What has come of an answer.
#[derive(Default)]
struct Answer {
    /// The head, or the line of a chunk's size, as far as it came.
    text: Vec<u8>,
    next: Next,
    /// Bytes of the body.
    body: usize,
}

/// What comes next.
#[derive(Default, Clone, Copy, PartialEq)]
enum Next {
    #[default]
    Head,
    /// So many bytes, and the end.
    Bytes(usize),
    /// The size of a chunk.
    Size,
    /// So many bytes of a chunk, and the end of its line.
    Chunk(usize),
    /// The end of the line that ends the body.
    Last,
    End,
}

impl Answer {
    fn is_whole(&self) -> bool {
        self.next == Next::End
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            bytes = match self.next {
                Next::Head => self.line(bytes, b"\r\n\r\n", Self::head)?,
                Next::Size => self.line(bytes, b"\r\n", Self::size)?,
                Next::Last => self.line(bytes, b"\r\n", |_, _| Ok(Next::End))?,
                Next::Bytes(left) => self.skip(bytes, left, Next::Bytes, Next::End),
                Next::Chunk(left) => self.skip(bytes, left, Next::Chunk, Next::Size),
                Next::End => return Err("bytes behind the answer".into()),
            };
        }
        Ok(())
    }

    /// Takes what ends in `end`, once all of it is there.
    fn line<'a>(
        &mut self,
        bytes: &'a [u8],
        end: &[u8],
        read: fn(&mut Self, &str) -> Result<Next, Failure>,
    ) -> Result<&'a [u8], Failure> {
        let before = self.text.len();
        self.text.extend_from_slice(bytes);
        let Some(place) = self.text.windows(end.len()).position(|found| found == end) else {
            return Ok(&[]);
        };
        let text = std::mem::take(&mut self.text);
        self.next = read(self, std::str::from_utf8(&text[..place])?)?;
        Ok(&bytes[place + end.len() - before..])
    }

    fn head(_: &mut Self, text: &str) -> Result<Next, Failure> {
        if !text.starts_with("HTTP/1.1 200 ") {
            return Err(format!("not served: {text}").into());
        }
        let length = text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        Ok(match length {
            Some((_, length)) => match length.parse()? {
                0 => Next::End,
                length => Next::Bytes(length),
            },
            None => Next::Size,
        })
    }

    fn size(&mut self, text: &str) -> Result<Next, Failure> {
        Ok(match usize::from_str_radix(text, 16)? {
            0 => Next::Last,
            size => {
                self.body += size;
                // With the end of its line.
                Next::Chunk(size + 2)
            }
        })
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: usize, more: fn(usize) -> Next, then: Next) -> &'a [u8] {
        let taken = left.min(bytes.len());
        if matches!(self.next, Next::Bytes(_)) {
            self.body += taken;
        }
        self.next = match left - taken {
            0 => then,
            left => more(left),
        };
        &bytes[taken..]
    }
}
