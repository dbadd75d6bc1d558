//! What a resource remembers of the instance it lives in: where that is, what its type is called, which methods it has.

use crate::function::Function;
use crate::instance::Cell;
use crate::names::attribute;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::exports::Export;
use wherry_engine::values::{ResourceAny, ResourceType};

/// What a resource remembers of the instance it lives in.
pub struct Home {
    cell: OnceLock<Weak<Cell>>,
    resources: OnceLock<Vec<(ResourceType, Option<String>, String)>>,
    /// What generated bindings make of a resource, in the order of `resources`.
    wrappers: OnceLock<Vec<Option<Py<PyAny>>>>,
    exports: Arc<Vec<Export>>,
}

impl Home {
    pub fn new(exports: Arc<Vec<Export>>) -> Self {
        Self {
            cell: OnceLock::new(),
            resources: OnceLock::new(),
            wrappers: OnceLock::new(),
            exports,
        }
    }

    /// Says where home is, once the instance is there.
    pub fn settle(&self, cell: &Arc<Cell>, resources: Vec<(ResourceType, Option<String>, String)>) {
        let _ = self.cell.set(Arc::downgrade(cell));
        let _ = self.resources.set(resources);
    }

    /// The instance.
    pub fn cell(&self) -> Result<Arc<Cell>> {
        let cell = self.cell.get().and_then(Weak::upgrade);
        cell.ok_or_else(|| Error::new(Kind::Closed, "the instance of the resource was closed"))
    }

    /// The interface and name of a resource type.
    pub fn resource_name(&self, ty: ResourceType) -> Option<(Option<String>, String)> {
        let known = self.resources.get()?.iter().find(|(known, ..)| *known == ty)?;
        Some((known.1.clone(), known.2.clone()))
    }

    /// What generated bindings make of a resource of this type.
    pub fn wrapper(&self, ty: ResourceType) -> Option<&Py<PyAny>> {
        let wrappers = self.wrappers.get()?;
        let index = self
            .resources
            .get()?
            .iter()
            .position(|(known, ..)| *known == ty)?;
        wrappers.get(index)?.as_ref()
    }

    /// Has resources made by these functions, each by the interface and name of what it makes.
    pub fn wrap(&self, py: Python<'_>, wrap: &HashMap<(Option<String>, String), Py<PyAny>>) {
        let known = self.resources.get().into_iter().flatten();
        let wrappers = known.map(|(_, interface, name)| {
            let found = wrap.get(&(interface.clone(), name.clone()));
            found.map(|wrap| wrap.clone_ref(py))
        });
        let _ = self.wrappers.set(wrappers.collect());
    }

    /// A method of a resource, by its Python name.
    pub fn method(&self, resource: ResourceType, name: &str) -> Result<Option<Function>> {
        let cell = self.cell()?;
        let Some((interface, owner)) = self.resource_name(resource) else {
            return Ok(None);
        };
        let prefix = format!("[method]{owner}.");
        let found = self.exports.iter().find(|export| {
            let member = export.name.strip_prefix(&prefix);
            export.interface == interface && member.is_some_and(|member| attribute(member) == name)
        });
        let Some(export) = found.cloned() else {
            return Ok(None);
        };
        let inner = Arc::new(cell.with(|instance| instance.function(&export))?);
        Ok(Some(Function::of_resource(cell, inner, export)))
    }

    /// Ends a resource now, or after the call that is running.
    pub fn release(&self, resource: ResourceAny) -> Result<()> {
        let Some(cell) = self.cell.get().and_then(Weak::upgrade) else {
            return Ok(());
        };
        cell.release(resource)
    }
}
