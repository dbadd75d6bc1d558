//! Encoded values as a host language: how the one lowering reads them, and the one lifting writes them.
//!
//! Lowering looks at the parts of a value in order and at each once, so that a place in the buffer is all there is of a value;
//! lifting says where a compound value begins, so that it is written from front to back. No tree of values is made either way.

use crate::encoding::{
    BORROW, CASE, CASE_WITH, ENUM, ERR, ERR_WITH, FLAGS, FUTURE, LIST, MAP, NONE, OK, OK_WITH, OWN, RECORD,
    Reader, SOME, STREAM, TUPLE, Writer, length, list,
};
use crate::handles;
use crate::imports::Bound;
use crate::resources::{Home, HostResource};
use crate::streams::Stream;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use wherry_engine::error::{Error, Kind};
use wherry_engine::values::{
    Feed, Handle, Incoming, Named, Opening, Pipe, Port, ResourceAny, Result, Scalar,
};

/// Values in the encoding of `docs/encoding.md`.
pub enum Encoded {}

/// Bytes of the caller's, for the time of a call.
#[derive(Clone, Copy)]
pub struct Lent(*const [u8]);

// SAFETY: whoever made it vouches that the bytes stay and do not change until the call that it was made for is over.
unsafe impl Send for Lent {}
// SAFETY: as above; they are only read.
unsafe impl Sync for Lent {}

/// What is kept of a value.
pub enum Owned {
    /// The caller's arguments.
    Lent(Lent),
    /// A result, or arguments for the host.
    Bytes(Vec<u8>),
    /// A host function.
    Function(Bound),
    /// A resource of the host that the guest holds a handle to.
    Resource(HostResource),
}

impl Owned {
    /// Arguments for one call.
    ///
    /// # Safety
    /// The bytes have to stay until the call is over.
    pub unsafe fn lent(bytes: &[u8]) -> Self {
        Self::Lent(Lent(std::ptr::from_ref(bytes)))
    }

    /// The bytes of a result.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Owned::Bytes(bytes) => bytes,
            _ => Vec::new(),
        }
    }
}

thread_local! {
    /// A buffer that was used before, for the next value that is made on this thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The largest buffer that is kept for the next value.
const MAX_SPARE: usize = 1 << 20;

/// Gives a buffer back, to be used again.
pub fn recycle(mut bytes: Vec<u8>) {
    if bytes.capacity() <= MAX_SPARE {
        bytes.clear();
        SPARE.set(bytes);
    }
}

/// Where values are read from and written to, while they may be touched.
pub struct Stage {
    input: Reader<'static>,
    /// The result that is read has no payload.
    bare: Cell<bool>,
    output: RefCell<Writer>,
}

impl Stage {
    fn write(&self, write: impl FnOnce(&mut Writer)) -> &Self {
        let mut output = self.output.borrow_mut();
        if output.bytes.capacity() == 0 {
            output.bytes = SPARE.take();
        }
        write(&mut output);
        self
    }

    /// What is read, when a value is to come.
    fn input(&self) -> Result<&Reader<'static>> {
        if self.bare.replace(false) {
            return Err(Error::new(Kind::Value, "a case that needs a value has none"));
        }
        Ok(&self.input)
    }
}

/// What the encoding has to know of a named type: what it is, and how many names it has.
#[derive(Clone, Copy)]
pub struct Names {
    kind: Named,
    count: usize,
}

impl Names {
    /// The place of a case, which is one of them.
    fn place(self, place: u32) -> Result<usize> {
        let place = place as usize;
        if place < self.count {
            return Ok(place);
        }
        let message = format!(
            "there is no case {place}, but {} of them, counted from 0",
            self.count
        );
        Err(Error::new(Kind::Value, message))
    }
}

impl Port for Encoded {
    type Token<'t> = &'t Stage;
    type Ref<'t> = &'t Stage;
    type Owned = Owned;
    type Items<'t> = std::iter::RepeatN<&'t Stage>;
    type Names = Names;
    type Home = Arc<Home>;

    fn attach<R>(work: impl for<'t> FnOnce(&'t Stage) -> R) -> R {
        work(&Stage {
            input: Reader::default(),
            bare: Cell::new(false),
            output: RefCell::default(),
        })
    }

    fn bind<'t: 't>(stage: &'t Stage, value: &Owned) -> &'t Stage {
        match value {
            // SAFETY: they stay until the call is over, as `Owned::lent` asks, and the stage goes before that.
            Owned::Lent(Lent(bytes)) => stage.input.set(unsafe { &**bytes }),
            // SAFETY: the engine binds what it holds for as long as it lowers, and makes a stage for each time it does.
            Owned::Bytes(bytes) => stage.input.set(unsafe { &*std::ptr::from_ref(bytes.as_slice()) }),
            Owned::Resource(resource) => return stage.write(|output| output.handle(BORROW, resource.number)),
            Owned::Function(_) => {}
        }
        stage
    }

    fn own(stage: &Stage) -> Owned {
        Owned::Bytes(stage.output.take().bytes)
    }

    fn names(_: &Stage, kind: Named, _: Option<&str>, names: &[&str]) -> Names {
        Names {
            kind,
            count: names.len(),
        }
    }

    fn scalar(stage: &&Stage, scalar: Scalar) -> Result<u64> {
        stage.input()?.scalar(scalar)
    }

    fn string<R>(stage: &&Stage, take: impl FnOnce(&str) -> R) -> Result<R> {
        stage.input()?.string().map(take)
    }

    fn bytes<R>(stage: &&Stage, take: impl FnOnce(&[u8]) -> R) -> Result<R> {
        stage.input()?.packed(Scalar::U8).map(take)
    }

    fn numbers<R>(stage: &&Stage, scalar: Scalar, take: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        stage.input()?.packed(scalar).map(take).map(Some)
    }

    fn sequence<'t: 't>(stage: &&'t Stage, expected: &str) -> Result<Self::Items<'t>> {
        let input = stage.input()?;
        input.tag(&[if expected == "tuple" { TUPLE } else { LIST }], expected)?;
        Ok(std::iter::repeat_n(*stage, input.count(1)?))
    }

    fn entries<'t: 't>(stage: &&'t Stage) -> Result<Vec<(&'t Stage, &'t Stage)>> {
        let input = stage.input()?;
        input.tag(&[MAP], "map")?;
        Ok(vec![(*stage, *stage); input.count(2)?])
    }

    fn field<'t: 't>(stage: &&'t Stage, names: &Names, index: usize) -> Result<&'t Stage> {
        if index == 0 {
            let input = stage.input()?;
            input.tag(&[RECORD], "record")?;
            let count = input.u32()? as usize;
            if count != names.count {
                let message = format!("expected a record of {} fields, got {count}", names.count);
                return Err(Error::new(Kind::Value, message));
            }
        }
        Ok(stage)
    }

    fn case<'t: 't>(stage: &&'t Stage, names: &Names) -> Result<(usize, Option<&'t Stage>)> {
        let input = stage.input()?;
        if names.kind == Named::Enum {
            input.tag(&[ENUM], "enum")?;
            return Ok((names.place(input.u32()?)?, None));
        }
        let tag = input.tag(&[CASE, CASE_WITH], "variant")?;
        Ok((names.place(input.u32()?)?, (tag == CASE_WITH).then_some(*stage)))
    }

    fn flags(stage: &&Stage, names: &Names) -> Result<u32> {
        let input = stage.input()?;
        input.tag(&[FLAGS], "flags")?;
        let bits = input.u32()?;
        let unknown = u64::from(bits) >> names.count;
        if unknown != 0 {
            let message = format!("{bits:#x} has bits that are none of the {} flags", names.count);
            return Err(Error::new(Kind::Value, message));
        }
        Ok(bits)
    }

    fn option<'t: 't>(stage: &&'t Stage, _: bool) -> Result<Option<&'t Stage>> {
        let tag = stage.input()?.tag(&[NONE, SOME], "option")?;
        Ok((tag == SOME).then_some(*stage))
    }

    fn result<'t: 't>(stage: &&'t Stage) -> Result<std::result::Result<&'t Stage, &'t Stage>> {
        let tag = stage.input()?.tag(&[OK, OK_WITH, ERR, ERR_WITH], "result")?;
        stage.bare.set(matches!(tag, OK | ERR));
        Ok(if matches!(tag, OK | OK_WITH) {
            Ok(*stage)
        } else {
            Err(*stage)
        })
    }

    fn is_nothing(stage: &&Stage) -> Result<bool> {
        Ok(stage.bare.replace(false))
    }

    fn resource(stage: &&Stage, home: &Arc<Home>, host: Option<u32>, take: bool) -> Result<Handle<Owned>> {
        let input = stage.input()?;
        let (tag, expected) = if take {
            (OWN, "own resource")
        } else {
            (BORROW, "borrowed resource")
        };
        input.tag(&[tag], expected)?;
        let number = input.u64()?;
        match host {
            Some(place) => Ok(Handle::Host(Owned::Resource(
                home.host_resource(place, number, take),
            ))),
            None => home.guest_resource(number, take).map(Handle::Guest),
        }
    }

    fn end(stage: &&Stage) -> Result<()> {
        stage.input.end()
    }

    fn begin(stage: &Stage, opening: Opening) {
        stage.write(|output| match opening {
            Opening::List(count, None) => output.headed(LIST, length(count)),
            Opening::List(count, Some(scalar)) => output.numbers_begin(scalar, count),
            Opening::Map(count) => output.headed(MAP, length(count)),
            Opening::Record(count) => output.headed(RECORD, length(count)),
            Opening::Tuple(count) => output.headed(TUPLE, length(count)),
            Opening::Case(place, false) => output.headed(CASE, length(place)),
            Opening::Case(place, true) => output.headed(CASE_WITH, length(place)),
            Opening::Option(false) => output.tag(NONE),
            Opening::Option(true) => output.tag(SOME),
            Opening::Result(true, payload) => output.tag(if payload { OK_WITH } else { OK }),
            Opening::Result(false, payload) => output.tag(if payload { ERR_WITH } else { ERR }),
        });
    }

    fn from_scalar<'t: 't>(stage: &'t Stage, scalar: Scalar, bits: u64) -> &'t Stage {
        stage.write(|output| output.scalar(scalar, bits))
    }

    fn from_str<'t: 't>(stage: &'t Stage, text: &str) -> &'t Stage {
        stage.write(|output| output.string(text))
    }

    fn from_bytes<'t: 't>(stage: &'t Stage, bytes: &[u8]) -> &'t Stage {
        stage.write(|output| output.numbers(Scalar::U8, bytes))
    }

    fn from_numbers<'t: 't>(stage: &'t Stage, scalar: Scalar, bytes: &[u8]) -> Option<&'t Stage> {
        Some(stage.write(|output| output.numbers(scalar, bytes)))
    }

    fn from_list<'t: 't>(stage: &'t Stage, _: Vec<&'t Stage>) -> Result<&'t Stage> {
        Ok(stage)
    }

    fn from_tuple<'t: 't>(stage: &'t Stage, _: Vec<&'t Stage>) -> Result<&'t Stage> {
        Ok(stage)
    }

    fn from_entries<'t: 't>(stage: &'t Stage, _: Vec<(&'t Stage, &'t Stage)>) -> Result<&'t Stage> {
        Ok(stage)
    }

    fn from_record<'t: 't>(stage: &'t Stage, _: &Names, _: Vec<&'t Stage>) -> Result<&'t Stage> {
        Ok(stage)
    }

    fn from_case<'t: 't>(stage: &'t Stage, _: &Names, _: usize, _: Option<&'t Stage>) -> Result<&'t Stage> {
        Ok(stage)
    }

    fn from_enum<'t: 't>(stage: &'t Stage, _: &Names, index: usize) -> &'t Stage {
        stage.write(|output| output.headed(ENUM, length(index)))
    }

    fn from_flags<'t: 't>(stage: &'t Stage, _: &Names, bits: u32) -> Result<&'t Stage> {
        Ok(stage.write(|output| output.headed(FLAGS, bits)))
    }

    fn from_option<'t: 't>(stage: &'t Stage, _: Option<&'t Stage>, _: bool) -> Result<&'t Stage> {
        Ok(stage)
    }

    fn from_result<'t: 't>(
        stage: &'t Stage,
        _: std::result::Result<Option<&'t Stage>, Option<&'t Stage>>,
    ) -> Result<&'t Stage> {
        Ok(stage)
    }

    fn from_resource<'t: 't>(stage: &'t Stage, handle: ResourceAny, home: &Arc<Home>) -> Result<&'t Stage> {
        let tag = if handle.owned() { OWN } else { BORROW };
        let number = home.keep(handle)?;
        Ok(stage.write(|output| output.handle(tag, number)))
    }

    fn returned<'t: 't>(stage: &'t Stage, value: Owned) -> &'t Stage {
        let Owned::Resource(resource) = value else {
            return stage;
        };
        stage.write(|output| output.handle(OWN, resource.give_back()))
    }

    fn invoke(function: &Owned, arguments: Owned, _: bool) -> Result<Owned> {
        let Owned::Function(function) = function else {
            return Err(Error::new(
                Kind::Internal,
                "a value was taken for a host function",
            ));
        };
        let arguments = arguments.into_bytes();
        let reply = function.invoke(&arguments);
        recycle(arguments);
        reply.map(Owned::Bytes)
    }

    fn from_pipe<'t: 't>(
        stage: &'t Stage,
        incoming: Arc<Incoming<Self>>,
        home: &Arc<Home>,
    ) -> Result<&'t Stage> {
        let tag = pipe_tag(incoming.pipe);
        let stream = Stream::of_guest(incoming, Arc::clone(&home.instance));
        let handle = handles::keep(Arc::new(stream))
            .map_err(|failure| Error::new(Kind::Internal, failure.message()))?;
        Ok(stage.write(|output| output.handle(tag, handle.addr() as u64)))
    }

    fn feed(stage: &&Stage, pipe: Pipe, home: &Arc<Home>) -> Result<Box<dyn Feed<Self>>> {
        let input = stage.input()?;
        input.tag(
            &[pipe_tag(pipe)],
            if pipe.is_future() { "future" } else { "stream" },
        )?;
        let number = usize::try_from(input.u64()?).unwrap_or(0);
        let stream = handles::get::<Stream>(std::ptr::without_provenance_mut(number));
        let stream = stream.map_err(|failure| Error::new(Kind::Value, failure.message()))?;
        stream.feed(pipe, &home.instance)
    }

    fn split(list: &Owned) -> Result<Vec<Owned>> {
        let reader = Reader::default();
        let Owned::Bytes(bytes) = list else {
            return Err(Error::new(Kind::Internal, "a value was taken for a list"));
        };
        reader.set(bytes);
        Ok(reader.elements()?.into_iter().map(Owned::Bytes).collect())
    }

    fn gather(values: Vec<Owned>) -> Result<Owned> {
        let values: Vec<_> = values.into_iter().map(Owned::into_bytes).collect();
        Ok(Owned::Bytes(list(&values)))
    }

    fn units(list: &Owned) -> Result<usize> {
        let Owned::Bytes(bytes) = list else {
            return Err(Error::new(Kind::Internal, "a value was taken for a number"));
        };
        let reader = Reader::default();
        reader.set(bytes);
        let count = reader.scalar(Scalar::U32)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn from_units<'t: 't>(stage: &'t Stage, count: usize) -> Result<&'t Stage> {
        Ok(Self::from_scalar(stage, Scalar::U32, count as u64))
    }

    fn from_signal<'t: 't>(stage: &'t Stage) -> Result<&'t Stage> {
        Self::from_units(stage, 1)
    }

    fn nothing<'t: 't>(stage: &'t Stage) -> &'t Stage {
        stage
    }
}

/// The tag of a stream or future.
fn pipe_tag(pipe: Pipe) -> u8 {
    if pipe.is_future() { FUTURE } else { STREAM }
}
