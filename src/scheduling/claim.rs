//! NodeClaims under construction: a set of instance types that still fit all pods so far.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/nodeclaim.go`.

use super::explain::Rejection;
use super::min_values;
use super::template::{DaemonGroup, Template, with_pod_count};
use super::variant::Variant;
use super::{ClaimPlan, price};
use crate::kube::requirement::AllowUndefined;
use crate::kube::{Requirements, label, taint};
use crate::units::{BitSet, ResourceVec};
use crate::world::PodId;

/// A claim that exists only inside the running Solve.
#[derive(Clone, Debug)]
pub(super) struct InFlightClaim {
    /// Position of the template.
    pub(super) template: usize,
    requirements: Requirements,
    options: BitSet,
    /// Requests of the pods, without DaemonSets.
    requests: ResourceVec,
    pub(super) pods: Vec<PodId>,
    /// Variants that this claim has refused: it only ever gets fuller and narrower, so it refuses them again.
    refused: Vec<bool>,
}

/// What a claim would become with one more pod.
struct Accepted {
    requirements: Option<Requirements>,
    options: BitSet,
}

impl InFlightClaim {
    /// An empty claim of a template, restricted to `options`.
    pub(super) fn new(index: usize, template: &Template, options: BitSet) -> InFlightClaim {
        InFlightClaim {
            template: index,
            requirements: template.requirements.clone(),
            options,
            requests: ResourceVec::default(),
            pods: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Takes the pod if some instance type still fits all of them.
    pub(super) fn try_add(
        &mut self,
        pod: PodId,
        number: usize,
        variant: &Variant,
        template: &Template,
    ) -> Result<(), Rejection> {
        if self.refused.get(number).copied().unwrap_or(false) {
            return Err(Rejection::Repeated);
        }
        match self.can_add(variant, template) {
            Ok(accepted) => {
                self.pods.push(pod);
                self.requests.add(&variant.class.requests);
                self.options = accepted.options;
                if let Some(requirements) = accepted.requirements {
                    self.requirements = requirements;
                }
                Ok(())
            }
            Err(rejection) => {
                self.refused.resize(self.refused.len().max(number + 1), false);
                self.refused[number] = true;
                Err(rejection)
            }
        }
    }

    fn can_add(&self, variant: &Variant, template: &Template) -> Result<Accepted, Rejection> {
        let taints = &template.spec.template.taints;
        if let Some(taint) = taint::first_untolerated(taints, &variant.tolerations) {
            return Err(Rejection::Taint(taint.clone()));
        }
        let wanted = &variant.requirements;
        if let Some(conflict) = self.requirements.conflict(wanted, AllowUndefined::WellKnown) {
            let (have, want) = (Box::new(self.requirements.clone()), Box::new(wanted.clone()));
            return Err(Rejection::Requirements { have, want, conflict });
        }
        let mut tightened = self.requirements.clone();
        tightened.add_all(wanted);
        // The options satisfy the present requirements: only tightened ones have to be looked at again.
        let changed = (tightened != self.requirements).then_some(tightened);
        let requests = self.requests.plus(&variant.class.requests);
        let options = self.remaining_options(changed.as_ref(), &requests, template);
        let requirements = changed.as_ref().unwrap_or(&self.requirements);
        if let Some(keys) = min_values::unmet(&template.types, options.iter(), requirements) {
            return Err(Rejection::MinValues(keys));
        }
        if options.is_empty() {
            return Err(Rejection::types(&self.options, requirements, &requests, template));
        }
        Ok(Accepted { requirements: changed, options })
    }

    fn remaining_options(
        &self,
        changed: Option<&Requirements>,
        requests: &ResourceVec,
        template: &Template,
    ) -> BitSet {
        let mut remaining = BitSet::empty(template.types.len());
        for group in &template.groups {
            let need = requests.plus(&group.overhead);
            let mut members = self.options.clone();
            members.intersect_with(&group.types);
            for i in members.iter() {
                let it = &template.types[i];
                let still_offered = changed.is_none_or(|requirements| {
                    it.requirements.intersects(requirements)
                        && it
                            .offerings
                            .iter()
                            .any(|o| o.available && o.compatible_with(requirements))
                });
                if need.fits(&it.allocatable) && still_offered {
                    remaining.insert(i);
                }
            }
        }
        remaining
    }

    /// The options that are still possible.
    pub(super) fn options(&self) -> &BitSet {
        &self.options
    }

    /// The claim as planned: daemon overhead added, options in group order, simulation keys dropped.
    pub(super) fn finalize(self, template: &Template) -> ClaimPlan {
        let alive: Vec<(&DaemonGroup, BitSet)> = template
            .groups
            .iter()
            .map(|group| {
                let mut members = self.options.clone();
                members.intersect_with(&group.types);
                (group, members)
            })
            .filter(|(_, members)| !members.is_empty())
            .collect();
        let overhead = alive
            .iter()
            .map(|(group, _)| group.overhead.clone())
            .reduce(|a, b| a.intersected_minimum(&b))
            .unwrap_or_default();
        let requests = with_pod_count(self.requests, self.pods.len()).plus(&overhead);
        let mut types: Vec<u32> =
            alive.iter().flat_map(|(_, members)| members.iter().map(|i| i as u32)).collect();
        let mut requirements = self.requirements;
        requirements.remove(label::REGISTERED);
        requirements.remove(label::INITIALIZED);
        price::order_by_price(&mut types, &template.types, &requirements);
        ClaimPlan { pool: template.pool, requirements, types, requests, pods: self.pods }
    }
}
