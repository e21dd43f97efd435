//! Which instance types are left: by requirements with an offering, once per requirement set, and by resources, from
//! tables of thresholds.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/nodeclaim.go`
//! (`filterInstanceTypesByRequirements`).

use rustc_hash::FxHashMap;

use super::requirement_set::{RequirementSets, SetId};
use super::template::Template;
use crate::ec2::InstanceType;
use crate::kube::Requirements;
use crate::units::{BitSet, Lane, ResourceVec};

/// Types by how much of each of the four common resources they have.
#[derive(Clone, Debug)]
pub(super) struct FitIndex {
    /// By lane: ascending amounts, each with the types that have at least so much.
    lanes: [Vec<(i64, BitSet)>; 4],
    universe: usize,
}

impl FitIndex {
    /// The index of `types`.
    pub(super) fn new(types: &[InstanceType]) -> FitIndex {
        let lanes = Lane::ALL.map(|lane| {
            let mut order: Vec<(i64, usize)> =
                (types.iter().enumerate()).map(|(i, it)| (it.allocatable.lane(lane), i)).collect();
            order.sort_unstable();
            let mut steps: Vec<(i64, BitSet)> = Vec::new();
            let mut left = BitSet::full(types.len());
            for (amount, i) in order {
                if steps.last().is_none_or(|(last, _)| *last != amount) {
                    steps.push((amount, left.clone()));
                }
                left.remove(i);
            }
            steps
        });
        FitIndex { lanes, universe: types.len() }
    }

    /// Keeps of `set` the types that `need` fits on. Types with a negative amount must not be in it.
    pub(super) fn keep(&self, set: &mut BitSet, need: &ResourceVec, types: &[InstanceType]) {
        for (lane, steps) in Lane::ALL.into_iter().zip(&self.lanes) {
            let need = need.lane(lane);
            match steps.partition_point(|(amount, _)| *amount < need) {
                0 => {}
                step if step == steps.len() => {
                    *set = BitSet::empty(self.universe);
                    return;
                }
                step => set.intersect_with(&steps[step].1),
            }
        }
        for (name, wanted) in need.tail() {
            let short: Vec<usize> =
                set.iter().filter(|i| types[*i].allocatable.get(name) < wanted).collect();
            short.into_iter().for_each(|i| set.remove(i));
        }
    }
}

/// Types of each template that requirement sets admit.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeMasks {
    list: Vec<BitSet>,
    ids: FxHashMap<(usize, SetId), usize>,
}

impl TypeMasks {
    /// Types of a template whose labels go with the set and that have an available offering that does.
    pub(super) fn get(
        &mut self,
        sets: &RequirementSets,
        index: usize,
        template: &Template,
        set: SetId,
    ) -> &BitSet {
        let next = self.list.len();
        let id = *self.ids.entry((index, set)).or_insert(next);
        if id == next {
            self.list.push(admitted(template, sets.get(set)));
        }
        &self.list[id]
    }
}

fn admitted(template: &Template, requirements: &Requirements) -> BitSet {
    let mut mask = BitSet::empty(template.types.len());
    for i in template.options.iter().filter(|i| is_offered(&template.types[*i], requirements)) {
        mask.insert(i);
    }
    mask
}

/// True iff the type's labels go with the requirements and some available offering does.
pub(super) fn is_offered(instance_type: &InstanceType, requirements: &Requirements) -> bool {
    instance_type.requirements.intersects(requirements)
        && instance_type.offerings.iter().any(|o| o.available && o.compatible_with(requirements))
}
