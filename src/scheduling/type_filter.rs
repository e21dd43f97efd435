//! Which instance types are left: by requirements with an offering, once per requirement set, and by resources, from
//! tables of thresholds.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/nodeclaim.go`
//! (`filterInstanceTypesByRequirements`).

use rustc_hash::FxHashMap;

use super::requirement_set::{RequirementSets, SetId};
use super::template::Template;
use super::{plain, price};
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
    /// The index of `types` by an amount of each.
    pub(super) fn new(
        types: &[InstanceType],
        amount: impl Fn(&InstanceType) -> &ResourceVec,
    ) -> FitIndex {
        let lanes = Lane::ALL.map(|lane| {
            let mut order: Vec<(i64, usize)> =
                types.iter().enumerate().map(|(i, it)| (amount(it).lane(lane), i)).collect();
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

    /// Keeps of `set` the types with at most so much of a lane.
    pub(super) fn keep_at_most(&self, set: &mut BitSet, lane: Lane, most: i64) {
        let steps = &self.lanes[lane as usize];
        if let Some((_, above)) = steps.get(steps.partition_point(|(amount, _)| *amount <= most)) {
            set.subtract(above);
        }
    }

    /// The largest amount of a lane among the types of `set`; 0 for none.
    pub(super) fn largest(&self, set: &BitSet, lane: Lane) -> i64 {
        let steps = self.lanes[lane as usize].iter().rev();
        let largest = steps.filter(|(_, types)| types.intersects(set)).map(|(amount, _)| *amount);
        largest.take(1).fold(0, i64::max)
    }

    /// Keeps of `set` the types that `need` fits on. Types with a negative amount must not be in it.
    pub(super) fn keep(&self, set: &mut BitSet, need: &ResourceVec, types: &[InstanceType]) {
        if plain::is_on() {
            let without = |i: &usize| !need.fits(&types[*i].allocatable);
            let short: Vec<usize> = set.iter().filter(without).collect();
            return short.into_iter().for_each(|i| set.remove(i));
        }
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

/// Launch orders of claims: claims in the same state have the same.
#[derive(Clone, Debug, Default)]
pub(super) struct LaunchOrders {
    /// By type; those that were not asked for yet are not known.
    prices: FxHashMap<(usize, SetId), Vec<Option<f64>>>,
    orders: FxHashMap<(usize, SetId, BitSet), Vec<u32>>,
}

impl LaunchOrders {
    /// Orders that are remembered.
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    /// The options in group order, sorted by price under the requirements of `set`. `requirements` are those of the set
    /// without keys that no offering has.
    pub(super) fn get(
        &mut self,
        (index, set): (usize, SetId),
        template: &Template,
        options: &BitSet,
        requirements: &Requirements,
    ) -> Vec<u32> {
        let LaunchOrders { prices, orders } = self;
        let order = || {
            let types = &template.types;
            let prices =
                prices.entry((index, set)).or_insert_with(|| vec![None; template.types.len()]);
            let mut order = in_group_order(template, options);
            price::order_by(&mut order, |option| {
                let option = option as usize;
                *prices[option].get_or_insert_with(|| price::cheapest(&types[option], requirements))
            });
            order
        };
        if plain::is_on() {
            let mut order = in_group_order(template, options);
            price::order_by_price(&mut order, &template.types, requirements);
            return order;
        }
        orders.entry((index, set, options.clone())).or_insert_with(order).clone()
    }
}

/// The options as upstream leaves them: group by group.
pub(super) fn in_group_order(template: &Template, options: &BitSet) -> Vec<u32> {
    let members = template
        .groups
        .iter()
        .flat_map(|group| options.iter().filter(|i| group.types.contains(*i)).map(|i| i as u32));
    members.collect()
}

/// Types of each template that requirement sets admit.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeMasks {
    list: Vec<BitSet>,
    ids: FxHashMap<(usize, SetId), usize>,
}

impl TypeMasks {
    /// Masks that are remembered.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

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
        } else if plain::is_on() {
            self.list[id] = admitted(template, sets.get(set));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::label;

    proptest::proptest! {
        /// The tables keep exactly the types that upstream's `Fits` keeps.
        #[test]
        fn tables_keep_what_fits(
            amounts in proptest::collection::vec((0_i64..6, 0_i64..6, 0_i64..3, 0_i64..3), 0..80),
            need in (0_i64..7, 0_i64..7, 0_i64..4, 0_i64..4),
        ) {
            let mut symbols = label::vocabulary();
            let list = |(cpu, memory, pods, gpus): (i64, i64, i64, i64)| {
                let names = [("cpu", cpu), ("memory", memory), ("pods", pods), ("gpu", gpus)];
                names.into_iter().filter(|(_, amount)| *amount > 0).collect::<ResourceVec>()
            };
            let types: Vec<InstanceType> = (amounts.iter())
                .map(|amounts| InstanceType {
                    name: symbols.intern_value("type"),
                    requirements: Requirements::default(),
                    capacity: list(*amounts),
                    allocatable: list(*amounts),
                    bare_metal: false,
                    has_ami: true,
                    offerings: Vec::new(),
                })
                .collect();
            let need = list(need);
            let mut kept = BitSet::full(types.len());
            FitIndex::new(&types, |it| &it.allocatable).keep(&mut kept, &need, &types);
            let fitting = (0..types.len()).filter(|i| need.fits(&types[*i].allocatable));
            proptest::prop_assert_eq!(kept.iter().collect::<Vec<_>>(), fitting.collect::<Vec<_>>());
        }
    }
}
