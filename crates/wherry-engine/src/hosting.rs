//! Functions and resources that the embedding program implements, as definitions in a linker.
//!
//! A definition knows only the place of its function in the list of imports. The functions themselves are in the store of
//! each instance, so that a program is linked once and instantiated with different functions.

use crate::error::{Error, Kind, Result};
use crate::exports::{Import, Surface};
use crate::guest::Guest;
use crate::values::{Context, Lifted, Port, Returned, Started, host_resource};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use wasmtime::component::{Accessor, Linker, LinkerInstance};
use wasmtime::{AsContextMut, StoreContextMut};

/// The host functions of one instance, in the order of [`Template::imports`].
pub struct Host<P: Port> {
    /// The functions.
    pub functions: Vec<P::Owned>,
    /// What its values refer to.
    pub context: Arc<Context<P>>,
}

/// Defines what a component imports beyond WASI.
///
/// # Errors
/// [`Kind::Link`] when the engine refuses a name.
pub fn define<P: Port>(linker: &mut Linker<Guest>, surface: &Surface) -> Result<()> {
    let refused =
        |error: wasmtime::Error| Error::new(Kind::Link, format!("an import cannot be defined: {error:#}"));
    let mut interfaces: BTreeMap<Option<&str>, Vec<(usize, &Import)>> = BTreeMap::new();
    for (index, import) in surface.imports.iter().enumerate() {
        interfaces
            .entry(import.interface.as_deref())
            .or_default()
            .push((index, import));
    }
    for (interface, _) in &surface.resources {
        interfaces.entry(interface.as_deref()).or_default();
    }
    for (interface, imports) in interfaces {
        let mut root = linker.root();
        let mut place = match interface {
            Some(name) => root.instance(name).map_err(refused)?,
            None => root,
        };
        for (index, (of, name)) in (0_u32..).zip(&surface.resources) {
            if of.as_deref() == interface {
                place
                    .resource(name, host_resource(index), release::<P>)
                    .map_err(refused)?;
            }
        }
        for (index, import) in imports {
            function::<P>(&mut place, index, import).map_err(refused)?;
        }
    }
    Ok(())
}

/// The guest dropped a handle: the host value goes.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the linker hands the store over by value"
)]
fn release<P: Port>(store: StoreContextMut<'_, Guest>, handle: u32) -> wasmtime::Result<()> {
    drop(host::<P>(&store)?.context.take(handle));
    Ok(())
}

fn host<P: Port>(store: &StoreContextMut<'_, Guest>) -> wasmtime::Result<Arc<Host<P>>> {
    let host = store
        .data()
        .host
        .clone()
        .and_then(|host| host.downcast::<Host<P>>().ok());
    host.ok_or_else(|| Error::new(Kind::Internal, "an instance without host functions").into())
}

/// Defines one function. The engine wants the number of flat values at compile time; each number has its own copy.
fn function<P: Port>(
    place: &mut LinkerInstance<'_, Guest>,
    index: usize,
    import: &Import,
) -> wasmtime::Result<()> {
    macro_rules! by_count {
        ($($count:literal)*) => {
            match (import.flat_params.unwrap_or(0), import.flat_results) {
                $(
                    ($count, 0) => typed::<P, $count, 0>(place, index, import),
                    ($count, _) => typed::<P, $count, 1>(place, index, import),
                )*
                (count, _) => wasmtime::bail!("{count} flat values"),
            }
        };
    }
    by_count!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

fn typed<P: Port, const PARAMS: usize, const RESULTS: usize>(
    place: &mut LinkerInstance<'_, Guest>,
    index: usize,
    import: &Import,
) -> wasmtime::Result<()> {
    let fallible = import.fallible;
    let name: Arc<str> = import.name.as_str().into();
    if import.asynchronous {
        return place.func_wrap_concurrent(
            &import.name,
            move |accessor: &Accessor<Guest>, arguments: Lifted<P, PARAMS>| {
                let name = Arc::clone(&name);
                Box::pin(async move {
                    let host = accessor.with(|mut store| arrived::<P>(store.as_context_mut()))?;
                    let returned = match P::start(implemented(&host, index)?, arguments.0, fallible)? {
                        Started::Done(value) => value,
                        Started::Later(mut later) => {
                            let value = poll_fn(|cx| later.poll(cx, 1)).await?;
                            value
                                .ok_or_else(|| Error::new(Kind::Internal, "a host function without an end"))?
                        }
                    };
                    accessor.with(|mut store| store.get().watch.check_after_host())?;
                    Ok(Returned::<P, RESULTS>(returned, name))
                })
            },
        );
    }
    place.func_wrap(
        &import.name,
        move |mut store: StoreContextMut<'_, Guest>,
              arguments: Lifted<P, PARAMS>|
              -> wasmtime::Result<Returned<P, RESULTS>> {
            let host = arrived::<P>(store.as_context_mut())?;
            let returned = P::invoke(implemented(&host, index)?, arguments.0, fallible)?;
            store.data().watch.check_after_host()?;
            Ok(Returned(returned, Arc::clone(&name)))
        },
    )
}

/// The host of a guest that has called it with arguments which are lifted: streams among them are listened to.
fn arrived<P: Port>(mut store: StoreContextMut<'_, Guest>) -> wasmtime::Result<Arc<Host<P>>> {
    store.data_mut().called_out = true;
    let host = host::<P>(&store)?;
    host.context.listen(store)?;
    Ok(host)
}

fn implemented<P: Port>(host: &Host<P>, index: usize) -> Result<&P::Owned> {
    let function = host.functions.get(index);
    function.ok_or_else(|| Error::new(Kind::Internal, "an import without a host function"))
}
