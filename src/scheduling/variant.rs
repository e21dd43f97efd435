//! Pod classes during one Solve: their requirements at each level of relaxation, computed once per class.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/preferences.go`. A pod that failed relaxes one
//! step and tries again; which step depends on its specification alone, so that the ladder belongs to the class.

use std::sync::Arc;

use super::template::prefer_no_schedule_toleration;
use crate::kube::pod::NodeAffinity;
use crate::kube::taint::Toleration;
use crate::kube::{PodClass, Requirements};
use crate::units::{LabelValue, SimTime};

/// One level of relaxation of a class.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) class: Arc<PodClass>,
    /// Node selector, heaviest preferred term, first required term.
    pub(super) requirements: Requirements,
    pub(super) tolerations: Vec<Toleration>,
    /// The next level's number, if there is one.
    pub(super) relaxed: Option<usize>,
}

/// All levels of all classes seen so far. Levels of a class are computed when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Variants {
    list: Vec<Variant>,
    affinities: Vec<NodeAffinity>,
    by_class: Vec<(Arc<PodClass>, usize)>,
    tolerate_prefer_no_schedule: Option<LabelValue>,
    ignore_preferences: bool,
}

impl Variants {
    /// `empty` is the interned empty text when some template has a PreferNoSchedule taint.
    /// With `ignore_preferences` preferred terms never count.
    pub(super) fn new(empty: Option<LabelValue>, ignore_preferences: bool) -> Variants {
        Variants { tolerate_prefer_no_schedule: empty, ignore_preferences, ..Variants::default() }
    }

    /// The unrelaxed level of a class.
    pub(super) fn first(&mut self, class: &Arc<PodClass>) -> usize {
        if let Some((_, variant)) =
            self.by_class.iter().find(|(known, _)| Arc::ptr_eq(known, class))
        {
            return *variant;
        }
        let variant =
            self.push(class.clone(), class.node_affinity.clone(), class.tolerations.clone());
        self.by_class.push((class.clone(), variant));
        variant
    }

    /// The level of this number.
    pub(super) fn get(&self, variant: usize) -> &Variant {
        &self.list[variant]
    }

    /// Number of levels known.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The next level, if a preference or an alternative is left.
    pub(super) fn relax(&mut self, variant: usize) -> Option<usize> {
        if let Some(known) = self.list[variant].relaxed {
            return Some(known);
        }
        let mut affinity = self.affinities[variant].clone();
        let mut tolerations = self.list[variant].tolerations.clone();
        if affinity.required.len() > 1 {
            affinity.required.remove(0);
        } else if !affinity.preferred.is_empty() {
            // A stable sort by weight, descending: the heaviest goes, the first of equals.
            affinity.preferred.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
            affinity.preferred.remove(0);
        } else {
            let toleration = prefer_no_schedule_toleration(self.tolerate_prefer_no_schedule?);
            if tolerations.contains(&toleration) {
                return None;
            }
            tolerations.push(toleration);
        }
        let class = self.list[variant].class.clone();
        let next = self.push(class, affinity, tolerations);
        self.list[variant].relaxed = Some(next);
        Some(next)
    }

    fn push(
        &mut self,
        class: Arc<PodClass>,
        affinity: NodeAffinity,
        tolerations: Vec<Toleration>,
    ) -> usize {
        let requirements = requirements_of(&affinity, self.ignore_preferences);
        self.list.push(Variant { class, requirements, tolerations, relaxed: None });
        self.affinities.push(affinity);
        self.list.len() - 1
    }
}

/// Node selector, then the heaviest preferred term as if it were required, then the first required term.
fn requirements_of(affinity: &NodeAffinity, ignore_preferences: bool) -> Requirements {
    let mut requirements = affinity.selector.clone();
    let mut preferred: Vec<&(i32, Requirements)> = affinity.preferred.iter().collect();
    preferred.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    if let Some((_, heaviest)) = preferred.first().filter(|_| !ignore_preferences) {
        requirements.add_all(heaviest);
    }
    if let Some(first) = affinity.required.first() {
        requirements.add_all(first);
    }
    requirements
}

/// Queue position of a pod: CPU, then memory, both descending, then creation second, then UID.
pub(super) fn queue_key(class: &PodClass, created_at: SimTime, uid: u64) -> (i64, i64, i64, u64) {
    use crate::units::Lane::{Cpu, Memory};
    let requests = &class.requests;
    (-requests.lane(Cpu), -requests.lane(Memory), created_at.floor_to_second().ms(), uid)
}
