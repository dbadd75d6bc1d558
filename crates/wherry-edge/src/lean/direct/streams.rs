//! The two streams of a guest that is a module by itself.

use super::{
    Awaited, BLOCKING_WRITE, Called, Given, InputStream, OutputStream, Place, Pollable, ROOM, Streaming,
    answer, both, host, piece, put,
};
use wasmtime::{Result, bail};

impl Place<'_> {
    pub(super) fn input(&mut self, item: &str) -> Result<()> {
        match item {
            "[method]input-stream.read" => self.reads(false),
            "[method]input-stream.blocking-read" => self.reads(true),
            "[method]input-stream.skip" => self.skips(false),
            "[method]input-stream.blocking-skip" => self.skips(true),
            "[method]input-stream.subscribe" => {
                self.makes::<InputStream, Pollable>(|lean, _| lean.pollable(Awaited::Input))
            }
            _ => bail!("no function of the lean host"),
        }
    }

    fn reads(&mut self, waits: bool) -> Result<()> {
        self.waits(move |mut caller: Called<'_>, (this, most, to): (u32, u64, u32)| {
            Box::new(async move {
                let lean = host(&mut caller)?;
                lean.handle::<InputStream>(this)?;
                if waits {
                    lean.wait(Awaited::Input).await;
                }
                let read = lean.read(most)?;
                let read = piece(&mut caller, read).await?;
                answer(&mut caller, to, read)
            })
        })
    }

    fn skips(&mut self, waits: bool) -> Result<()> {
        self.waits(move |mut caller: Called<'_>, (this, most, to): (u32, u64, u32)| {
            Box::new(async move {
                let lean = host(&mut caller)?;
                lean.handle::<InputStream>(this)?;
                if waits {
                    lean.wait(Awaited::Input).await;
                }
                let skipped = lean.skip(most)?;
                answer(&mut caller, to, Streaming(skipped))
            })
        })
    }

    pub(super) fn output(&mut self, item: &str) -> Result<()> {
        match item {
            "[method]output-stream.check-write" => self.sync(|mut caller: Called<'_>, this: u32, to: u32| {
                let (memory, lean) = both(&mut caller)?;
                lean.handle::<OutputStream>(this)?;
                put(memory, to, Streaming(lean.room()))
            }),
            "[method]output-stream.write" => self.sync(
                |mut caller: Called<'_>, this: u32, at: u32, length: u32, to: u32| {
                    let (memory, lean) = both(&mut caller)?;
                    lean.handle::<OutputStream>(this)?;
                    let bytes = Given::new(memory, lean.direct.most).bytes(at, length)?;
                    let written = lean.write(bytes, ROOM)?;
                    put(memory, to, Streaming(written))
                },
            ),
            "[method]output-stream.blocking-write-and-flush" => self.writes(),
            "[method]output-stream.write-zeroes" => {
                self.sync(|mut caller: Called<'_>, this: u32, count: u64, to: u32| {
                    let (memory, lean) = both(&mut caller)?;
                    lean.handle::<OutputStream>(this)?;
                    put(memory, to, Streaming(lean.zeroes(count, ROOM)?))
                })
            }
            "[method]output-stream.blocking-write-zeroes-and-flush" => self.writes_zeroes(),
            "[method]output-stream.flush" => self.sync(|mut caller: Called<'_>, this: u32, to: u32| {
                let (memory, lean) = both(&mut caller)?;
                lean.handle::<OutputStream>(this)?;
                put(memory, to, Streaming(lean.open()))
            }),
            "[method]output-stream.blocking-flush" => self.flushes(),
            "[method]output-stream.subscribe" => {
                self.makes::<OutputStream, Pollable>(|lean, _| lean.pollable(Awaited::Output))
            }
            "[method]output-stream.splice" => self.splices(false),
            "[method]output-stream.blocking-splice" => self.splices(true),
            _ => bail!("no function of the lean host"),
        }
    }

    fn writes(&mut self) -> Result<()> {
        self.waits(
            |mut caller: Called<'_>, (this, at, length, to): (u32, u32, u32, u32)| {
                Box::new(async move {
                    let (memory, lean) = both(&mut caller)?;
                    lean.handle::<OutputStream>(this)?;
                    let bytes = Given::new(memory, lean.direct.most).bytes(at, length)?;
                    let written = lean.write(bytes, BLOCKING_WRITE)?;
                    lean.wait(Awaited::Output).await;
                    put(memory, to, Streaming(written))
                })
            },
        )
    }

    fn writes_zeroes(&mut self) -> Result<()> {
        self.waits(|mut caller: Called<'_>, (this, count, to): (u32, u64, u32)| {
            Box::new(async move {
                let (memory, lean) = both(&mut caller)?;
                lean.handle::<OutputStream>(this)?;
                let written = lean.zeroes(count, BLOCKING_WRITE)?;
                lean.wait(Awaited::Output).await;
                put(memory, to, Streaming(written))
            })
        })
    }

    fn flushes(&mut self) -> Result<()> {
        self.waits(|mut caller: Called<'_>, (this, to): (u32, u32)| {
            Box::new(async move {
                let (memory, lean) = both(&mut caller)?;
                lean.handle::<OutputStream>(this)?;
                lean.wait(Awaited::Output).await;
                put(memory, to, Streaming(lean.open()))
            })
        })
    }

    fn splices(&mut self, waits: bool) -> Result<()> {
        self.waits(
            move |mut caller: Called<'_>, (this, from, most, to): (u32, u32, u64, u32)| {
                Box::new(async move {
                    let (memory, lean) = both(&mut caller)?;
                    lean.handle::<OutputStream>(this)?;
                    lean.handle::<InputStream>(from)?;
                    if waits {
                        lean.wait(Awaited::Output).await;
                        lean.wait(Awaited::Input).await;
                    }
                    put(memory, to, Streaming(lean.splice(most)?))
                })
            },
        )
    }
}
