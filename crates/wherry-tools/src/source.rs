//! Interfaces as people write them: a file or folder of WIT, and the one world in it that is built.

use std::path::Path;

use wit_parser::{Resolve, WorldId, WorldItem};

use crate::error::{Error, Result};
use crate::wasi;

/// Interfaces that were read, and the world among them that is built.
#[derive(Debug)]
pub struct Source {
    /// Every package that was read.
    pub resolve: Resolve,
    /// The world.
    pub world: WorldId,
}

impl Source {
    /// Reads the file or folder `wit`; of several worlds `world` says which.
    ///
    /// # Errors
    /// [`Error::Interface`] with the line that is wrong, as the person has it.
    pub fn read(wit: &Path, world: Option<&str>) -> Result<Self> {
        let mut resolve = Resolve::default();
        let mut pushed = resolve.push_path(wit);
        if pushed
            .as_ref()
            .is_err_and(|error| format!("{error:#}").contains("'wasi:"))
        {
            // They are written to use WASI, and bring no copy of it.
            resolve = wasi::interfaces()?;
            pushed = resolve.push_path(wit);
        }
        let (package, _) = pushed.map_err(|error| Error::Interface(told(&resolve, &error)))?;
        let world = resolve
            .select_world(&[package], world)
            .map_err(|error| Error::Interface(format!("{}: {error}", wit.display())))?;
        Ok(Self { resolve, world })
    }

    /// The name of the world.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.resolve.worlds[self.world].name
    }

    /// Whether the world exports what makes a component a command, `wasi:cli/run`.
    #[must_use]
    pub fn runs(&self) -> bool {
        let exports = &self.resolve.worlds[self.world].exports;
        exports.iter().any(|(key, item)| {
            let name = self.resolve.name_world_key(key);
            matches!(item, WorldItem::Interface { .. }) && name.starts_with("wasi:cli/run@")
        })
    }
}

/// What is wrong with the interfaces and where: without the steps that led there, which say nothing more.
fn told(resolve: &Resolve, error: &anyhow::Error) -> String {
    let placed = error.chain().filter_map(|layer| {
        layer
            .downcast_ref::<wit_parser::ResolveError>()
            .map(|error| error.render(&resolve.source_map))
            .or_else(|| {
                layer
                    .downcast_ref::<wit_parser::ParseError>()
                    .map(|error| error.render(&resolve.source_map))
            })
    });
    placed.last().unwrap_or_else(|| format!("{error:#}"))
}
