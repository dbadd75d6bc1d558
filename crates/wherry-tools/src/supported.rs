//! Which worlds a language has a form for, and by name what stands in the way of others.
//!
//! The generators panic, or write what no compiler takes, where they have none.

use anyhow::bail;
use wit_bindgen_core::wit_parser::{
    Function, LiveTypes, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem,
};

/// As many flags as the canonical ABI has room for.
const MOST_FLAGS: usize = 32;

/// `maps` says whether the language has a form for `map<string, u8>`.
///
/// # Errors
/// Names the first type or function that there is no form for.
pub(crate) fn check(resolve: &Resolve, world: WorldId, maps: bool) -> anyhow::Result<()> {
    let items = &resolve.worlds[world];
    for (key, item) in items.imports.iter().chain(&items.exports) {
        let place = resolve.name_world_key(key);
        match item {
            WorldItem::Function(function) => check_function(function, &items.name)?,
            WorldItem::Interface { id, .. } => {
                for function in resolve.interfaces[*id].functions.values() {
                    check_function(function, &place)?;
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    let mut live = LiveTypes::default();
    live.add_world(resolve, world);
    live.iter().try_for_each(|id| check_type(resolve, id, maps))
}

fn check_function(function: &Function, place: &str) -> anyhow::Result<()> {
    let types = function
        .params
        .iter()
        .map(|parameter| &parameter.ty)
        .chain(&function.result);
    if function.kind.is_async() {
        bail!(
            "function `{}` of `{place}` is `async`, for which guests in this language have no form",
            function.name
        );
    }
    if types.into_iter().any(|ty| *ty == Type::ErrorContext) {
        bail!("function `{}` of `{place}` has an `error-context`", function.name);
    }
    Ok(())
}

fn check_type(resolve: &Resolve, id: TypeId, maps: bool) -> anyhow::Result<()> {
    let ty = &resolve.types[id];
    let parts: Vec<&Type> = match &ty.kind {
        TypeDefKind::Future(_) => bail!("{} is a `future`, which needs `async`", described(resolve, id)),
        TypeDefKind::Stream(_) => bail!("{} is a `stream`, which needs `async`", described(resolve, id)),
        TypeDefKind::FixedLengthList(_, length) => {
            bail!(
                "{} is a list whose length is always {length}: a `list` without a length has a form",
                described(resolve, id)
            )
        }
        TypeDefKind::Map(..) if !maps => {
            bail!(
                "{} is a `map`: a `list` of a `tuple` has a form",
                described(resolve, id)
            )
        }
        TypeDefKind::Flags(flags) if flags.flags.len() > MOST_FLAGS => {
            bail!(
                "{} has {} flags, which may be {MOST_FLAGS}",
                described(resolve, id),
                flags.flags.len()
            )
        }
        TypeDefKind::Record(record) => record.fields.iter().map(|field| &field.ty).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty.as_ref()).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().collect(),
        TypeDefKind::Result(result) => result.ok.iter().chain(&result.err).collect(),
        TypeDefKind::Option(part) | TypeDefKind::List(part) | TypeDefKind::Type(part) => vec![part],
        TypeDefKind::Map(key, value) => vec![key, value],
        _ => Vec::new(),
    };
    if parts.contains(&&Type::ErrorContext) {
        bail!("{} has an `error-context`", described(resolve, id));
    }
    Ok(())
}

/// A type by its name and where it is, as far as it has them.
fn described(resolve: &Resolve, id: TypeId) -> String {
    let ty = &resolve.types[id];
    let name = ty
        .name
        .as_ref()
        .map_or_else(|| "a type".to_owned(), |name| format!("type `{name}`"));
    let place = match ty.owner {
        TypeOwner::Interface(id) => resolve.id_of(id),
        TypeOwner::World(id) => Some(resolve.worlds[id].name.clone()),
        TypeOwner::None => None,
    };
    place.map_or(name.clone(), |place| format!("{name} of `{place}`"))
}
