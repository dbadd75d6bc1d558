//! What runs in the child process: reads a request and a binary, validates and compiles, writes the answer and the image.
//!
//! The request is one line of JSON, the binary all that follows. The answer is one line of JSON, and then,
//! where compiling went well, the image. Nothing else may be written to the child's standard output.

use std::io::{BufRead, BufReader, Read, Write};

use serde::{Deserialize, Serialize};

use super::{Compiled, Job, binary_of_text, image, in_pool};
use crate::error::{Error, Kind, Result};
use crate::mode::{self, DEFAULT_STACK, EngineKey, Mode};
use crate::recognise::Form;
use crate::validate::validate;

/// What the parent wants.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Code for the binary that follows.
    Compile(Order),
    /// The binary form of the text that follows, which has this name in messages.
    Convert(String),
}

/// What is compiled, and how.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    mode: String,
    concurrency: bool,
    target: Option<String>,
    component: bool,
    nesting: u64,
    restored: bool,
}

impl Order {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            mode: job.key.mode.name().to_owned(),
            concurrency: job.key.concurrency,
            target: job.key.target.clone(),
            component: job.form == Form::Component,
            nesting: job.nesting,
            restored: job.key.restored,
        }
    }

    fn done(&self, bytes: &[u8]) -> Result<Compiled> {
        let form = if self.component {
            Form::Component
        } else {
            Form::Module
        };
        let key = self.key()?;
        // Nobody asks here what it would take.
        let validated = validate(bytes, &mode::engine(&key)?, self.nesting, 0)?;
        Ok(Compiled {
            image: image(bytes, form, &key)?,
            nesting: validated.nesting,
            grows_tables: validated.grows_tables,
        })
    }

    fn key(&self) -> Result<EngineKey> {
        let mode = Mode::from_name(&self.mode)
            .ok_or_else(|| Error::new(Kind::Internal, format!("no mode `{}` to compile in", self.mode)))?;
        Ok(EngineKey {
            mode,
            concurrency: self.concurrency,
            stack: DEFAULT_STACK,
            target: self.target.clone(),
            coredump: false,
            pooled: None,
            restored: self.restored,
        })
    }
}

impl Request {
    fn done(&self, bytes: &[u8]) -> Result<Compiled> {
        match self {
            Self::Compile(order) => order.done(bytes),
            Self::Convert(name) => Ok(Compiled {
                image: binary_of_text(bytes, name)?,
                nesting: 0,
                grows_tables: false,
            }),
        }
    }
}

/// What the child says before the image.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// An image of so many bytes follows, of code that is nested so deep and that makes tables grow or does not.
    Image(u64, u64, bool),
    /// An error: kind, message, hint.
    Error(String, String, Option<String>),
}

impl Answer {
    fn error(error: &Error) -> Self {
        let hint = error.hint().map(ToOwned::to_owned);
        Self::Error(format!("{:?}", error.kind()), error.message().to_owned(), hint)
    }

    /// The error of the child, typed again.
    pub(super) fn into_error(kind: &str, message: String, hint: Option<String>) -> Error {
        let kind = Kind::ALL
            .iter()
            .copied()
            .find(|candidate| format!("{candidate:?}") == kind);
        let error = Error::new(kind.unwrap_or(Kind::Internal), message);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Serves one request from `input` and writes the answer to `output`.
///
/// # Errors
/// [`Kind::Io`] when nobody listens any more, and [`Kind::Internal`] for a request that cannot be read. What the compiler
/// refuses is an answer, not an error.
pub fn work(input: impl Read, mut output: impl Write) -> Result<()> {
    let gone = |error: std::io::Error| Error::io("the process that asked for compiled code", &error);
    let mut input = BufReader::new(input);
    let mut line = String::new();
    input.read_line(&mut line).map_err(gone)?;
    let request: Request = serde_json::from_str(&line)
        .map_err(|error| Error::new(Kind::Internal, format!("not a request to compile: {error}")))?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(gone)?;

    let compiled = in_pool(|| request.done(&bytes)).and_then(|compiled| compiled);
    let answer = match &compiled {
        Ok(compiled) => Answer::Image(
            compiled.image.len() as u64,
            compiled.nesting,
            compiled.grows_tables,
        ),
        Err(error) => Answer::error(error),
    };
    let mut line = serde_json::to_vec(&answer).map_err(|error| {
        Error::new(
            Kind::Internal,
            format!("an answer that cannot be written: {error}"),
        )
    })?;
    line.push(b'\n');
    output.write_all(&line).map_err(gone)?;
    if let Ok(compiled) = compiled {
        output.write_all(&compiled.image).map_err(gone)?;
    }
    output.flush().map_err(gone)
}

#[cfg(test)]
mod tests {
    use super::super::tests::job;
    use super::*;

    fn ask(text: &str) -> (Answer, Vec<u8>) {
        let job = job(text);
        let mut input = serde_json::to_vec(&Request::Compile(Order::new(&job))).expect("a request");
        input.push(b'\n');
        input.extend_from_slice(&job.bytes);
        let mut output = Vec::new();
        work(&*input, &mut output).expect("an answer");
        let end = output.iter().position(|&byte| byte == b'\n').expect("a line");
        (
            serde_json::from_slice(&output[..end]).expect("an answer"),
            output.split_off(end + 1),
        )
    }

    #[test]
    fn an_image_comes_back() {
        let (answer, image) = ask("(module (func))");
        assert!(matches!(answer, Answer::Image(length, 0, false) if length == image.len() as u64));
        assert!(crate::compiled::is_image(&image));
    }

    #[test]
    fn an_error_comes_back_typed() {
        let (answer, image) = ask("(module (func (result i32)))");
        let Answer::Error(kind, message, hint) = answer else {
            panic!("compiled")
        };
        let error = Answer::into_error(&kind, message, hint);
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.message().contains("type mismatch"), "{error}");
        assert!(image.is_empty());
    }

    #[test]
    fn nonsense_is_no_request() {
        let error = work(&b"hello\n"[..], Vec::new()).expect_err("no request");
        assert_eq!(error.kind(), Kind::Internal);
    }
}
