//! What a file tells of itself, for `wherry.inspect` and `wherry.wit`.
//!
//! Records cross as JSON: they are read once by a person or a program, and Python decodes them into its own
//! frozen records in one call.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use serde::Serialize;
use wherry_engine::bounds::{self, Bounds, Shape};
use wherry_engine::environment::Environment;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::options::Invocation;
use wherry_engine::policy::{beyond, plain, text};
use wherry_engine::recognise::{self, Form};
use wherry_tools::inspect::Inspection;
use wherry_tools::wit;

use crate::errors::raise;
use crate::loading::PREPARING;

/// An [`Inspection`] with what only the engine knows.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    inspection: Inspection,
    /// Whether the file is in the text format; sizes are those of the binary form.
    text: bool,
    /// Why the engine refuses it, if it does.
    obstacle: Option<Obstacle>,
    /// How a server starts it for each request; `None` for what answers none.
    served: Option<Served>,
}

#[derive(Serialize)]
struct Served {
    prepared: bool,
    /// Why it is not prepared.
    why: Option<String>,
}

#[derive(Serialize)]
struct Obstacle {
    message: String,
    hint: Option<String>,
}

/// Everything that `data` tells of itself, as JSON; `name` is for messages.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn inspect(py: Python<'_>, data: PyBackedBytes, name: &str) -> PyResult<String> {
    py.detach(|| report(&data, name))
        .map_err(|error| raise(py, error))
}

/// `data` in binary form, which it may be already; `name` is for messages.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn binary_form(py: Python<'_>, data: PyBackedBytes, name: &str) -> PyResult<Vec<u8>> {
    py.detach(|| binary(&data, name).map(Cow::into_owned))
        .map_err(|error| raise(py, error))
}

/// The interface of `data` as JSON, for `wherry.wit.model`.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn wit_model(py: Python<'_>, data: PyBackedBytes, name: &str) -> PyResult<String> {
    let read = || json(&wit::model(&binary(&data, name)?).map_err(|error| refused(&error, name))?);
    py.detach(read).map_err(|error| raise(py, error))
}

/// The interface of `data` as WIT text.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn wit_text(py: Python<'_>, data: PyBackedBytes, name: &str) -> PyResult<String> {
    let read = || wit::text(&binary(&data, name)?).map_err(|error| refused(&error, name));
    py.detach(read).map_err(|error| raise(py, error))
}

/// What a policy in a file means, in plain words, as JSON.
#[pyfunction]
pub fn explain_policy(py: Python<'_>, file: &str) -> PyResult<String> {
    let explained = Environment::of_process()
        .and_then(|environment| plain::explain(file, &environment))
        .and_then(|explanation| json(&explanation));
    explained.map_err(|error| raise(py, error))
}

/// What the policy in `other` grants beyond the one in `file`, in plain words, as JSON.
#[pyfunction]
pub fn policy_beyond(py: Python<'_>, file: &str, other: &str) -> PyResult<String> {
    let compare = || {
        let environment = Environment::of_process()?;
        let (mut policy, mut beside) = (Invocation::default(), Invocation::default());
        text::read(&mut policy, file, &environment)?;
        text::read(&mut beside, other, &environment)?;
        json(&beyond::beyond(&policy, &beside, &environment))
    };
    compare().map_err(|error| raise(py, error))
}

fn report(data: &[u8], name: &str) -> Result<String> {
    let binary = binary(data, name)?;
    let inspection = wherry_tools::inspect::inspect(&binary).map_err(|error| refused(&error, name))?;
    let verdict = bounds::check(&binary, &Bounds::default())
        .and_then(|shape| recognise::foreign(&shape, name).map(|()| shape));
    let served = verdict
        .as_ref()
        .ok()
        .and_then(|shape| served(&binary, shape, &inspection));
    let (inspection, obstacle) = match verdict {
        Ok(_) => (inspection, None),
        Err(error) => {
            let hint = error.hint().map(str::to_owned);
            (
                inspection.refused(error.message()),
                Some(Obstacle {
                    message: error.message().to_owned(),
                    hint,
                }),
            )
        }
    };
    json(&Report {
        inspection,
        text: matches!(binary, Cow::Owned(_)),
        obstacle,
        served,
    })
}

/// How a server starts each guest of a program that answers HTTP, itself or as a command.
fn served(binary: &[u8], shape: &Shape, inspection: &Inspection) -> Option<Served> {
    let answers = inspection.kind == Some("command")
        || inspection
            .places
            .iter()
            .any(|place| place.name == "http" && place.fits);
    answers.then(|| {
        let why = PREPARING.form(binary, shape).err();
        Served {
            prepared: why.is_none(),
            why,
        }
    })
}

/// `data` in binary form, from the text format if it must be.
fn binary<'a>(data: &'a [u8], name: &str) -> Result<Cow<'a, [u8]>> {
    let binary = match recognise::recognise(data, name)? {
        Form::Component | Form::Module => Cow::Borrowed(data),
        Form::Text => wit::binary(data, name)
            .map(Cow::Owned)
            .map_err(|error| Error::new(Kind::Invalid, format!("`{name}` is not well-formed: {error}")))?,
        Form::Precompiled => {
            return Err(Error::new(
                Kind::Precompiled,
                format!("`{name}` is compiled code, which says nothing of its interface"),
            )
            .with_hint("inspect the file that it was compiled from"));
        }
    };
    // What reads it calls itself for each level of its types.
    bounds::shallow(&binary)?;
    Ok(binary)
}

fn refused(error: &wherry_tools::Error, name: &str) -> Error {
    use wherry_tools::Error as E;
    let message = format!("`{name}`: {error}");
    match error {
        E::Invalid(_) => Error::new(Kind::Invalid, message)
            .with_hint("build it, copy it or download it again: it is damaged"),
        E::Inexpressible(_) => Error::new(Kind::Usage, message)
            .with_hint(format!("`wherry inspect {name}` says what there is without WIT")),
        E::TooLarge(_) => Error::new(Kind::TooLarge, message),
        E::Interface(_) => Error::new(Kind::Interface, message),
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(Kind::Internal, format!("no JSON for a record: {error}")))
}
