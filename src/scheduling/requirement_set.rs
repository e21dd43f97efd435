//! Interned requirement sets: claims and nodes in the same state share one, and what was joined once is not joined
//! again.

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::plain;
use crate::kube::requirement::{AllowUndefined, Conflict, Requirement, Requirements};
use crate::units::Symbol;

/// An interned set of requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SetId(u32);

/// The interner. Nothing depends on the numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct RequirementSets {
    list: IndexSet<Requirements, FxBuildHasher>,
    joins: FxHashMap<(SetId, SetId, AllowUndefined), Result<SetId, Clash>>,
}

/// Why two sets do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// A key is not defined: it may be later.
    Undefined,
    /// A key has no common value: it never will.
    Disjoint,
}

impl RequirementSets {
    /// The id of a set.
    pub(super) fn intern(&mut self, mut set: Requirements) -> SetId {
        let known = self.list.get_index_of(&set);
        let place = known.unwrap_or_else(|| {
            // It is kept for long.
            set.shrink_to_fit();
            self.list.insert_full(set).0
        });
        SetId(place as u32)
    }

    /// Sets seen so far.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The set of an id.
    pub(super) fn get(&self, id: SetId) -> &Requirements {
        &self.list[id.0 as usize]
    }

    /// Upstream's `Compatible` and then `Add`.
    pub(super) fn join(
        &mut self,
        have: SetId,
        want: SetId,
        allow: AllowUndefined,
    ) -> Result<SetId, Clash> {
        if let Some(known) = self.joins.get(&(have, want, allow)).filter(|_| !plain::is_on()) {
            return *known;
        }
        let (old, new) = (self.get(have), self.get(want));
        let joined = match old.conflict(new, allow) {
            Some(Conflict::Undefined(_)) => Err(Clash::Undefined),
            Some(Conflict::Disjoint(_)) => Err(Clash::Disjoint),
            None => {
                let unchanged = |(key, wanted): (Symbol, &Requirement)| {
                    old.get(key).is_some_and(|had| wanted.intersection(had) == *had)
                };
                let changed = (plain::is_on() || !new.iter().all(unchanged)).then(|| {
                    let mut both = old.clone();
                    both.add_all(new);
                    both
                });
                Ok(changed.map_or(have, |set| self.intern(set)))
            }
        };
        self.joins.insert((have, want, allow), joined);
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::label;
    use crate::kube::requirement::Operator;

    #[test]
    fn a_join_that_changes_nothing_keeps_the_id() {
        let mut symbols = label::vocabulary();
        let (a, b) = (symbols.intern_value("a"), symbols.intern_value("b"));
        let set = |values: &[_]| {
            let requirement = Requirement::new(Operator::In, values.iter().copied());
            Requirements::from_iter([(label::ZONE, requirement)])
        };
        let mut sets = RequirementSets::default();
        let (one, both, other) =
            (sets.intern(set(&[a])), sets.intern(set(&[a, b])), sets.intern(set(&[b])));
        assert_eq!(sets.join(one, both, AllowUndefined::Nothing), Ok(one));
        assert_eq!(sets.join(both, one, AllowUndefined::Nothing), Ok(one));
        assert_eq!(sets.join(one, other, AllowUndefined::Nothing), Err(Clash::Disjoint));
        let nothing = sets.intern(Requirements::default());
        assert_eq!(sets.join(nothing, one, AllowUndefined::Nothing), Err(Clash::Undefined));
        assert_eq!(sets.join(nothing, one, AllowUndefined::WellKnown), Ok(one));
    }
}
