//! Which modules of a component become one, and where in it that one stands.
//!
//! A module joins when nothing that it imports needs the others first, and when nobody can tell that it is instantiated at
//! another time than before: order is meaning where segments are written and start functions run. A module that has to come
//! later, such as the one that puts the host's functions into the table of the others, stays apart. Start at [`choose`].

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Reason;
use super::outline::{CoreInstance, Item, Kind, Origin, Outline};
use super::shape::{Effects, Shape, kind_of};

/// What becomes one.
pub(super) struct Choice {
    /// The instances, in the order in which they are made.
    pub(super) members: Vec<usize>,
    /// The item before which the one is made.
    pub(super) place: usize,
}

/// The modules that are instantiated, each by its instance.
pub(super) type Shapes<'a> = BTreeMap<usize, Shape<'a>>;

/// Reads the module of each instance whose module stands in the component.
pub(super) fn shapes<'a>(outline: &Outline<'a>) -> Result<Shapes<'a>, Reason> {
    let mut shapes = Shapes::new();
    for (index, instance) in outline.instances.iter().enumerate() {
        if let CoreInstance::Made { module, .. } = instance
            && let Some(bytes) = outline.modules[*module].bytes
        {
            shapes.insert(index, Shape::read(bytes)?);
        }
    }
    Ok(shapes)
}

/// How many steps choosing may take: for each module, each definition is looked at. CPython has 15 and 3,000.
const MOST_STEPS: usize = 20_000_000;

/// Chooses what becomes one; fewer than two members are nothing to fuse.
pub(super) fn choose<'a>(outline: &Outline<'a>, shapes: &Shapes<'a>) -> Result<Choice, Reason> {
    if outline.items.len().saturating_mul(shapes.len()) > MOST_STEPS {
        return Err(Reason::new("it has too many modules and definitions"));
    }
    let mut chooser = Chooser {
        outline,
        shapes,
        effects: HashMap::new(),
        members: HashSet::new(),
        choice: Choice {
            members: Vec::new(),
            place: 0,
        },
    };
    for (index, shape) in shapes {
        chooser.effects.insert(*index, shape.effects()?);
    }
    for candidate in largest_group(outline, shapes)? {
        chooser.consider(candidate)?;
    }
    Ok(chooser.choice)
}

/// The instances that are linked with one another, of the group with the most bytes; only those that are the only use of
/// their module.
fn largest_group(outline: &Outline<'_>, shapes: &Shapes<'_>) -> Result<Vec<usize>, Reason> {
    let alone = |index: &usize| match &outline.instances[*index] {
        CoreInstance::Made { module, .. } => outline.modules[*module].uses == 1,
        CoreInstance::Bundle { .. } => false,
    };
    let candidates: Vec<usize> = shapes.keys().copied().filter(alone).collect();
    let mut group: HashMap<usize, usize> = candidates.iter().map(|index| (*index, *index)).collect();
    for candidate in &candidates {
        for provider in providers(outline, &shapes[candidate], *candidate)? {
            let (Some(mine), Some(theirs)) = (group.get(candidate).copied(), group.get(&provider).copied())
            else {
                continue;
            };
            if mine != theirs {
                let merged = mine.min(theirs);
                for root in group
                    .values_mut()
                    .filter(|root| **root == mine || **root == theirs)
                {
                    *root = merged;
                }
            }
        }
    }
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for candidate in &candidates {
        *sizes.entry(group[candidate]).or_default() += shapes[candidate].size;
    }
    let largest = sizes
        .iter()
        .rev()
        .max_by_key(|(_, size)| **size)
        .map(|(root, _)| *root);
    let belongs = |candidate: &usize| Some(group[candidate]) == largest;
    Ok(candidates.into_iter().filter(belongs).collect())
}

/// The instances that an instance imports from, each once.
fn providers(outline: &Outline<'_>, shape: &Shape<'_>, instance: usize) -> Result<Vec<usize>, Reason> {
    let mut found = Vec::new();
    for origin in origins(outline, shape, instance)? {
        if let Origin::Export { instance, .. } = origin {
            found.push(instance);
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Where each import of an instance comes from, in the order of its imports.
pub(super) fn origins<'a>(
    outline: &Outline<'a>,
    shape: &Shape<'a>,
    instance: usize,
) -> Result<Vec<Origin<'a>>, Reason> {
    let CoreInstance::Made { args, .. } = &outline.instances[instance] else {
        return Err(Reason::malformed());
    };
    let imports = shape.imports.iter().map(|import| {
        let from = args.get(import.module).ok_or_else(Reason::malformed)?;
        outline.exported(*from, import.name)
    });
    imports.collect()
}

struct Chooser<'c, 'a> {
    outline: &'c Outline<'a>,
    shapes: &'c Shapes<'a>,
    effects: HashMap<usize, Effects>,
    members: HashSet<usize>,
    choice: Choice,
}

impl<'a> Chooser<'_, 'a> {
    /// Takes an instance in if that changes nothing.
    fn consider(&mut self, candidate: usize) -> Result<(), Reason> {
        let place = self.place_with(candidate)?;
        if self.needs_itself(candidate, place)? || !self.in_order(candidate, place)? {
            return Ok(());
        }
        self.members.insert(candidate);
        self.choice.members.push(candidate);
        self.choice.place = place;
        Ok(())
    }

    /// Where the one would stand: behind all that it imports from elsewhere.
    fn place_with(&self, candidate: usize) -> Result<usize, Reason> {
        let mut place = self.choice.place;
        for origin in origins(self.outline, &self.shapes[&candidate], candidate)? {
            if !matches!(origin, Origin::Export { instance, .. } if self.members.contains(&instance)) {
                place = place.max(self.outline.defined_at(origin) + 1);
            }
        }
        Ok(place)
    }

    /// Whether something that stands before `place` needs the one, with the candidate in it.
    fn needs_itself(&self, candidate: usize, place: usize) -> Result<bool, Reason> {
        let inside = |instance: usize| instance == candidate || self.members.contains(&instance);
        let comes_from_inside =
            |origin: Origin<'a>| matches!(origin, Origin::Export { instance, .. } if inside(instance));
        for item in &self.outline.items[..place] {
            let needs = match item {
                Item::Instance(instance) if !inside(*instance) => match &self.outline.instances[*instance] {
                    CoreInstance::Made { args, .. } => {
                        args.values().any(|arg| match &self.outline.instances[*arg] {
                            CoreInstance::Made { .. } => inside(*arg),
                            CoreInstance::Bundle { origins, .. } => {
                                origins.values().copied().any(comes_from_inside)
                            }
                        })
                    }
                    CoreInstance::Bundle { .. } => false,
                },
                Item::Canon(..) | Item::Types(_) => {
                    let mut needs = false;
                    for (kind, index) in Outline::uses(item)? {
                        needs |= comes_from_inside(self.outline.origin(kind, index)?);
                    }
                    needs
                }
                _ => false,
            };
            if needs {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether all that is written and called while the component is instantiated stays in an order that nobody can tell from
    /// the one before.
    fn in_order(&self, candidate: usize, place: usize) -> Result<bool, Reason> {
        let effects = &self.effects[&candidate];
        let started = self
            .choice
            .members
            .iter()
            .any(|member| self.effects[member].starts);
        if started && !effects.writes.is_empty() {
            return Ok(false);
        }
        let mut with = self.choice.members.clone();
        with.push(candidate);
        let from = self.outline.instances[with[0]].item();
        let to = self.outline.instances[candidate].item();
        for (position, item) in self
            .outline
            .items
            .iter()
            .enumerate()
            .take(to.max(place))
            .skip(from)
        {
            let other = match item {
                Item::Instance(other) if !with.contains(other) => Some(*other),
                Item::Instances { .. } if self.outline.components_run => None,
                _ => continue,
            };
            let passes = |member: &&usize| {
                let before = self.outline.instances[**member].item() < position;
                before == (position < place)
            };
            for member in with.iter().filter(passes) {
                if !self.commute(*member, other)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether it cannot be told which of two was instantiated first; of the other nothing is known if it is `None`.
    fn commute(&self, member: usize, other: Option<usize>) -> Result<bool, Reason> {
        let mine = &self.effects[&member];
        if mine.writes.is_empty() && !mine.starts {
            return Ok(true);
        }
        let Some(other) = other else { return Ok(false) };
        if matches!(self.outline.instances[other], CoreInstance::Bundle { .. }) {
            return Ok(true);
        }
        let Some(theirs) = self.effects.get(&other) else {
            return Ok(false);
        };
        if theirs.writes.is_empty() && !theirs.starts {
            return Ok(true);
        }
        if mine.starts || theirs.starts {
            return Ok(false);
        }
        let written = self.targets(other, theirs)?;
        let apart = |target: &Target| *target != Target::Unknown && !written.contains(target);
        Ok(!written.contains(&Target::Unknown) && self.targets(member, mine)?.iter().all(apart))
    }

    /// The tables and memories that an instance writes to.
    fn targets(&self, instance: usize, effects: &Effects) -> Result<Vec<Target>, Reason> {
        let writes = effects.writes.iter();
        writes
            .map(|(kind, index)| self.target(instance, *kind, *index))
            .collect()
    }

    /// Follows an item through modules that export what they import.
    fn target(&self, mut instance: usize, kind: Kind, mut index: u32) -> Result<Target, Reason> {
        while let Some(shape) = self.shapes.get(&instance) {
            let Some(import) = shape.import(kind, index) else {
                return Ok(Target::Of {
                    instance,
                    kind,
                    index,
                });
            };
            debug_assert_eq!(kind_of(&import.ty), kind);
            let CoreInstance::Made { args, .. } = &self.outline.instances[instance] else {
                break;
            };
            let from = args.get(import.module).ok_or_else(Reason::malformed)?;
            let Origin::Export { instance: next, name } = self.outline.exported(*from, import.name)? else {
                break;
            };
            let Some((_, exported)) = self.shapes.get(&next).and_then(|shape| shape.exports.get(name)) else {
                break;
            };
            (instance, index) = (next, *exported);
        }
        Ok(Target::Unknown)
    }
}

/// A table or memory, by the instance that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Of { instance: usize, kind: Kind, index: u32 },
    Unknown,
}
