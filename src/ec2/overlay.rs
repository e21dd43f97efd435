//! Instance types as NodeOverlays change them: prices of offerings and capacities, NodePool by NodePool.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodeoverlay/{controller,store}.go`, `pkg/cloudprovider/types.go`
//! (`ApplyPriceOverlay`, `ApplyCapacityOverlay`). An overlay changes what Karpenter decides by, not what EC2 charges.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::instance_type::{InstanceType, Offering};
use super::price_change;
use crate::kube::requirement::{AllowUndefined, Requirement};
use crate::kube::{NodeOverlay, NodePool, Requirements, label};
use crate::units::ResourceVec;

/// A NodePool and the instance types that the provider hands out for it.
pub type PoolTypes<'a> = (&'a NodePool, &'a [InstanceType]);

/// What overlays make of the instance types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlaid {
    /// By NodePool: its instance types, `None` where no overlay changes any.
    pub types: Vec<Option<Vec<InstanceType>>>,
    /// Names of overlays without effect: another one of the same weight sets the same (Karpenter's condition
    /// `ValidationSucceeded` is False with the reason `Conflict`).
    pub conflicting: Vec<Arc<str>>,
}

/// Evaluates overlays, which are in the order of [`crate::kube::node_overlay::sort_by_weight`].
pub fn evaluate(overlays: &[NodeOverlay], pools: &[PoolTypes<'_>]) -> Overlaid {
    let mut changes: Vec<PoolChanges> = vec![PoolChanges::new(); pools.len()];
    let mut conflicting = Vec::new();
    for overlay in overlays {
        let selected: Vec<Selected> =
            (pools.iter()).map(|(pool, types)| select(overlay, pool, types)).collect();
        // An overlay counts for all NodePools or for none.
        let conflicts = changes.iter().zip(&selected).any(|(changes, selected)| {
            selected.iter().any(|(index, offerings)| {
                changes.get(index).is_some_and(|change| change.conflicts(overlay, offerings))
            })
        });
        if conflicts {
            conflicting.push(overlay.name.clone());
            continue;
        }
        for (changes, selected) in changes.iter_mut().zip(selected) {
            for (index, offerings) in selected {
                changes.entry(index).or_default().take(overlay, &offerings);
            }
        }
    }
    let types = changes.into_iter().zip(pools).map(|(changes, (_, types))| apply(&changes, types));
    Overlaid { types: types.collect(), conflicting }
}

/// Instance types that an overlay selects, each with the offerings that it selects of it, all by position.
type Selected = Vec<(usize, Vec<usize>)>;

fn select(overlay: &NodeOverlay, pool: &NodePool, types: &[InstanceType]) -> Selected {
    let wanted = &overlay.requirements;
    let offerings = |it: &InstanceType| -> Vec<usize> {
        let mut have = Requirements::default();
        have.add(label::NODEPOOL, Requirement::is(pool.name));
        have.add_all(&Requirements::from_labels(&pool.template.labels));
        have.add_all(&it.requirements);
        if !have.compatible(wanted, AllowUndefined::Nothing) {
            return Vec::new();
        }
        let goes = |offering: &Offering| offering.compatible_with(wanted);
        (0..it.offerings.len()).filter(|i| goes(&it.offerings[*i])).collect()
    };
    let all = types.iter().map(offerings).enumerate();
    all.filter(|(_, offerings)| !offerings.is_empty()).collect()
}

/// Changes of a NodePool's instance types by position.
type PoolChanges = BTreeMap<usize, TypeChange>;

/// What overlays of higher weight say of an instance type.
#[derive(Clone, Debug, Default)]
struct TypeChange {
    /// By offering: the heaviest overlay's price, and the weight of the last one that sets one.
    prices: BTreeMap<usize, (Arc<str>, i32)>,
    /// Of each resource the heaviest overlay's amount.
    capacity: ResourceVec,
    /// The last overlay with capacities.
    last_capacity: Option<(i32, ResourceVec)>,
}

impl TypeChange {
    fn conflicts(&self, overlay: &NodeOverlay, offerings: &[usize]) -> bool {
        let price = overlay.price.is_some()
            && offerings
                .iter()
                .filter_map(|offering| self.prices.get(offering))
                .any(|(_, weight)| *weight == overlay.weight);
        let capacity = overlay.capacity.as_ref().zip(self.last_capacity.as_ref());
        let capacity = capacity.is_some_and(|(own, (weight, last))| {
            *weight == overlay.weight && own.iter().any(|(name, _)| last.find(name).is_some())
        });
        price || capacity
    }

    fn take(&mut self, overlay: &NodeOverlay, offerings: &[usize]) {
        if let Some(price) = &overlay.price {
            for offering in offerings {
                let entry = self.prices.entry(*offering);
                entry.or_insert_with(|| (price.clone(), overlay.weight)).1 = overlay.weight;
            }
        }
        if let Some(capacity) = &overlay.capacity {
            for (name, amount) in capacity.iter() {
                if self.capacity.find(name).is_none() {
                    self.capacity.set(name, amount);
                }
            }
            self.last_capacity = Some((overlay.weight, capacity.clone()));
        }
    }
}

fn apply(changes: &PoolChanges, types: &[InstanceType]) -> Option<Vec<InstanceType>> {
    if changes.is_empty() {
        return None;
    }
    let mut types = types.to_vec();
    for (index, change) in changes {
        let it = &mut types[*index];
        for (offering, (price, _)) in &change.prices {
            let offering = &mut it.offerings[*offering];
            offering.price = price_change::adjusted(offering.price, price);
        }
        change.capacity.iter().for_each(|(name, amount)| set_capacity(it, name, amount));
    }
    Some(types)
}

/// Sets a resource of a type. What is kept from pods stays the same; huge pages are taken from the memory.
fn set_capacity(it: &mut InstanceType, name: &str, amount: i64) {
    let before = it.capacity.get(name);
    let kept = before.saturating_sub(it.allocatable.get(name));
    it.capacity.set(name, amount);
    it.allocatable.set(name, amount.saturating_sub(kept));
    if name.starts_with("hugepages-") {
        let memory = it.allocatable.get("memory").saturating_sub(amount.saturating_sub(before));
        it.allocatable.set("memory", memory.max(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2::CapacityType;
    use crate::kube::node_overlay::sort_by_weight;

    use crate::kube::requirement::Operator;
    use crate::kube::{Labels, label};
    use crate::units::{Symbol, Symbols};

    struct Shop {
        symbols: Symbols,
        pool: NodePool,
        types: Vec<InstanceType>,
    }

    impl Shop {
        /// A NodePool `p` with the label `team=a`, and types `small` and `big` on demand at 1 and 2 USD and as spot at
        /// a tenth of it, in two zones.
        fn new() -> Shop {
            let mut symbols = label::vocabulary();
            let s = &mut symbols;
            let zones = ["z1", "z2"].map(|zone| s.intern_value(zone));
            let sold = ["on-demand", "spot"].map(|how| s.intern_value(how));
            let types = [("small", 1.0), ("big", 2.0)].map(|(name, price)| {
                let mut offerings = Vec::new();
                for zone in zones {
                    let mut offer = |how, price| Offering::new(how, zone, price, true, s);
                    offerings.push(offer(CapacityType::OnDemand, price));
                    offerings.push(offer(CapacityType::Spot, price / 10.0));
                }
                let name = s.intern_value(name);
                let own = [
                    (label::INSTANCE_TYPE, Requirement::is(name)),
                    (label::ZONE, Requirement::new(Operator::In, zones)),
                    (label::CAPACITY_TYPE, Requirement::new(Operator::In, sold)),
                ];
                let capacity: ResourceVec =
                    [("cpu", 4_000), ("memory", 8 << 30)].into_iter().collect();
                InstanceType {
                    name,
                    requirements: own.into_iter().collect(),
                    allocatable: [("cpu", 3_900), ("memory", 7 << 30)].into_iter().collect(),
                    capacity,
                    bare_metal: false,
                    has_ami: true,
                    offerings,
                }
            });
            let (team, a) = (s.intern("team"), s.intern_value("a"));
            let mut pool = NodePool::bare(s.intern_value("p"));
            pool.template.labels = Labels::from_iter([(team, a)]);
            pool.template.node_class = s.intern_value("default");
            Shop { symbols, pool, types: types.into() }
        }

        fn overlay(&mut self, name: &str, weight: i32, wanted: &[(&str, &str)]) -> NodeOverlay {
            let mut entry = |(key, value): &(&str, &str)| -> (Symbol, Requirement) {
                (self.symbols.intern(key), Requirement::is(self.symbols.intern_value(value)))
            };
            let requirements = wanted.iter().map(&mut entry).collect();
            NodeOverlay { name: name.into(), weight, requirements, price: None, capacity: None }
        }

        fn price(
            &mut self,
            name: &str,
            weight: i32,
            wanted: &[(&str, &str)],
            price: &str,
        ) -> NodeOverlay {
            NodeOverlay { price: Some(price.into()), ..self.overlay(name, weight, wanted) }
        }

        fn devices(&mut self, name: &str, weight: i32, list: &[(&str, i64)]) -> NodeOverlay {
            let capacity = list.iter().copied().collect();
            NodeOverlay { capacity: Some(capacity), ..self.overlay(name, weight, &[]) }
        }

        fn evaluate(&self, mut overlays: Vec<NodeOverlay>) -> (Vec<InstanceType>, Vec<Arc<str>>) {
            sort_by_weight(&mut overlays);
            let mut overlaid = evaluate(&overlays, &[(&self.pool, &self.types)]);
            let types = overlaid.types.remove(0).unwrap_or_else(|| self.types.clone());
            (types, overlaid.conflicting)
        }
    }

    fn prices(it: &InstanceType) -> Vec<f64> {
        it.offerings.iter().map(|offering| offering.price).collect()
    }

    const TYPE: &str = "node.kubernetes.io/instance-type";
    const CAPACITY: &str = "karpenter.sh/capacity-type";

    /// `provisioning.md` 2.5, 4: offerings, instance type, NodePool and its labels select; what a key of neither says
    /// selects nothing.
    #[test]
    fn requirements_select_types_and_offerings() {
        let mut shop = Shop::new();
        let spot_of_small = [(TYPE, "small"), (CAPACITY, "spot"), ("team", "a")];
        let half = shop.price("half", 0, &spot_of_small, "-50%");
        let (types, conflicting) = shop.evaluate(vec![half]);
        assert_eq!(prices(&types[0]), [1.0, 0.05, 1.0, 0.05]);
        assert_eq!(types[1], shop.types[1]);
        assert!(conflicting.is_empty());
        for other in [("team", "b"), ("karpenter.sh/nodepool", "q"), ("unknown", "x")] {
            let overlay = shop.price("other", 0, &[other], "5");
            assert_eq!(shop.evaluate(vec![overlay]).0, shop.types, "{other:?}");
        }
    }

    /// `provisioning.md` 2.5, 2, 5 and 6: the heaviest price wins; of equal weights the later name counts and the other
    /// one is skipped as a whole.
    #[test]
    fn the_heavier_price_wins_and_equals_conflict() {
        let mut shop = Shop::new();
        let all = shop.price("all", 1, &[], "7");
        let small = shop.price("small", 2, &[(TYPE, "small")], "+1");
        let (types, conflicting) = shop.evaluate(vec![all.clone(), small.clone()]);
        assert_eq!(prices(&types[0]), [2.0, 1.1, 2.0, 1.1]);
        assert_eq!(prices(&types[1]), [7.0; 4]);
        assert!(conflicting.is_empty());
        let equal = NodeOverlay { weight: 1, ..small };
        let (types, conflicting) = shop.evaluate(vec![all, equal]);
        assert_eq!(prices(&types[0]), [2.0, 1.1, 2.0, 1.1]);
        assert_eq!(prices(&types[1]), [2.0, 0.2, 2.0, 0.2], "`all` is skipped for `big` too");
        assert_eq!(conflicting, ["all".into()]);
    }

    /// `provisioning.md` 2.5, 5: the weight that counts is that of the overlay that was applied last.
    #[test]
    fn a_third_overlay_conflicts_with_the_last() {
        let mut shop = Shop::new();
        let list = [("a", 3, "3"), ("b", 2, "4"), ("c", 2, "5")];
        let list = list.map(|(name, weight, price)| shop.price(name, weight, &[], price));
        let (types, conflicting) = shop.evaluate(list.into());
        assert_eq!(prices(&types[0]), [3.0; 4]);
        assert_eq!(conflicting, ["b".into()]);
    }

    /// `provisioning.md` 2.5, 5 and 6; 4.3 for huge pages.
    #[test]
    fn capacities_are_added_resource_by_resource() {
        let mut shop = Shop::new();
        let heavy = shop.devices("heavy", 2, &[("example.com/a", 1)]);
        let light = shop.devices("light", 1, &[("example.com/a", 5), ("hugepages-2Mi", 1 << 30)]);
        let same = shop.devices("also", 1, &[("example.com/b", 3)]);
        let clash = shop.devices("again", 1, &[("example.com/b", 4)]);
        let (types, conflicting) = shop.evaluate(vec![heavy, light, same, clash]);
        for it in &types {
            assert_eq!(it.capacity.get("example.com/a"), 1);
            assert_eq!(it.allocatable.get("example.com/b"), 3);
            assert_eq!(it.allocatable.get("memory"), 6 << 30);
            assert_eq!(it.capacity.get("memory"), 8 << 30);
            assert_eq!(prices(it), prices(&shop.types[usize::from(prices(it)[0] > 1.0)]));
        }
        assert_eq!(conflicting, ["again".into()]);
    }
}
