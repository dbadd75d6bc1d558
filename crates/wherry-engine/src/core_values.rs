//! Numbers between a host language and functions of core modules, which have no WIT types.

use crate::error::{Error, Kind, Result};
use crate::sandbox::Sandbox;
use crate::values::{Opening, Outcome, Port, Scalar};
use wasmtime::{Func, FuncType, Val, ValType};

/// Calls a function of a core module.
///
/// # Errors
/// [`Kind::Value`] when an argument does not fit, [`Kind::Unsupported`] for vectors and references, else as
/// [`Sandbox::run`].
pub fn call<P: Port>(sandbox: &mut Sandbox, function: Func, arguments: &P::Owned) -> Result<Outcome<P, 1>> {
    let ty = function.ty(sandbox.store());
    let empty = vec![Val::I32(0); ty.results().len()];
    let results = sandbox.run(
        (lower::<P>(&ty, arguments)?, empty),
        |store, (arguments, mut results)| function.call(store, &arguments, &mut results).map(|()| results),
        async |store, (arguments, mut results)| {
            function
                .call_async(store, &arguments, &mut results)
                .await
                .map(|()| results)
        },
    )?;
    lift::<P>(&results)
}

/// Reads arguments as the core types of a function want them.
///
/// # Errors
/// [`Kind::Value`] when their number or a type does not fit.
fn lower<P: Port>(ty: &FuncType, arguments: &P::Owned) -> Result<Vec<Val>> {
    P::attach(|token| {
        let items = P::sequence(&P::bind(token, arguments), "tuple")?;
        if items.len() != ty.params().len() {
            return Err(Error::new(
                Kind::Value,
                format!("expected {} arguments, got {}", ty.params().len(), items.len()),
            ));
        }
        let pairs = ty.params().zip(items).enumerate();
        pairs
            .map(|(index, (ty, item))| value::<P>(&ty, &item).map_err(|e| e.in_path(&format!("[{index}]"))))
            .collect()
    })
}

fn value<P: Port>(ty: &ValType, item: &P::Ref<'_>) -> Result<Val> {
    let bits = |scalar| P::scalar(item, scalar);
    // A core integer has no sign: both readings of its bits are accepted.
    Ok(match ty {
        ValType::I32 => {
            let bits = bits(Scalar::S32)
                .or_else(|_| bits(Scalar::U32))
                .map_err(|error| signless(error, "u32 (0 to", "i32 (-2147483648 to"))?;
            Val::I32(
                u32::try_from(bits & u64::from(u32::MAX))
                    .unwrap_or(0)
                    .cast_signed(),
            )
        }
        ValType::I64 => {
            let bits = bits(Scalar::S64)
                .or_else(|_| bits(Scalar::U64))
                .map_err(|error| signless(error, "u64 (0 to", "i64 (-9223372036854775808 to"))?;
            Val::I64(bits.cast_signed())
        }
        ValType::F32 => Val::F32(u32::try_from(bits(Scalar::F32)?).unwrap_or(0)),
        ValType::F64 => Val::F64(bits(Scalar::F64)?),
        other => return Err(unsupported(other)),
    })
}

/// The same error about a type that has no sign, in place of the type of WIT that was tried last.
fn signless(error: Error, tried: &str, wanted: &str) -> Error {
    let name = |words: &str| words.split(' ').next().unwrap_or_default().to_owned();
    let message = if error.message().contains(tried) {
        error.message().replacen(tried, wanted, 1)
    } else {
        error.message().replacen(&name(tried), &name(wanted), 1)
    };
    error.with_message(message)
}

/// Makes the result: nothing, a number, or a tuple of numbers.
///
/// # Errors
/// [`Kind::Unsupported`] for vectors and references.
fn lift<P: Port>(results: &[Val]) -> Result<Outcome<P, 1>> {
    P::attach(|token| {
        let mut values = results.iter().map(|value| {
            let (scalar, bits) = match value {
                Val::I32(number) => (Scalar::S32, u64::from(number.cast_unsigned())),
                Val::I64(number) => (Scalar::S64, number.cast_unsigned()),
                Val::F32(bits) => (Scalar::F32, u64::from(*bits)),
                Val::F64(bits) => (Scalar::F64, *bits),
                _ => return Err(unsupported("a vector or reference")),
            };
            Ok(P::from_scalar(token, scalar, bits))
        });
        let value = match results.len() {
            0 => P::nothing(token),
            1 => values.next().unwrap_or_else(|| Ok(P::nothing(token)))?,
            count => {
                P::begin(token, Opening::Tuple(count));
                P::from_tuple(token, values.collect::<Result<_>>()?)?
            }
        };
        Ok(Outcome {
            value: P::own(value),
            failed: false,
        })
    })
}

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("values of core type `{what}` do not cross between host and guest"),
    )
}
