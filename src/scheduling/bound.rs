//! A bound for what-ifs of consolidation: what cannot come out well is not tried.
//!
//! Pods that no other node takes as it stands need a new NodeClaim, all of them the same one, for a command has at most
//! one. When no instance type that holds them costs less than the candidates, there is no command. Everything that the
//! bound leaves out (topology, other pods, zones) could only make the what-if harder.

use std::sync::Arc;

use super::Templates;
use super::claim::{Duration, Memory, Seeker};
use super::ground::Ground;
use super::topology::Demand;
use super::variant::Variants;
use super::volume::VolumeDemand;
use crate::kube::PodClass;
use crate::units::ResourceVec;
use crate::world::{ClaimId, ClusterView};

/// Answers that are remembered at most.
const MOST_ANSWERS: usize = 4_096;

impl Ground {
    /// True when the pods of `classes`, all of which run on `removed`, cannot do without a new NodeClaim that costs
    /// `limit` USD per hour or more, or without two.
    pub(super) fn is_hopeless<'a>(
        &mut self,
        view: &ClusterView<'_>,
        templates: &Templates,
        classes: impl Iterator<Item = &'a (Arc<PodClass>, u32)>,
        removed: &[ClaimId],
        limit: f64,
    ) -> bool {
        let mut homeless = ResourceVec::default();
        for (class, pods) in classes {
            if !self.has_home(view, class, removed) {
                (0..*pods).for_each(|_| homeless.add(&class.requests));
            }
        }
        if homeless.is_empty() {
            return false;
        }
        let question = (homeless, limit.to_bits());
        if let Some(known) = self.hopeless.get(&question) {
            return *known;
        }
        let answer =
            !templates.list.iter().any(|template| template.holds_below(&question.0, limit));
        if self.hopeless.len() >= MOST_ANSWERS {
            self.hopeless.clear();
        }
        self.hopeless.insert(question, answer);
        answer
    }

    /// False when no node but those of `removed` takes such a pod as it stands, whatever the pod gives up.
    fn has_home(
        &mut self,
        view: &ClusterView<'_>,
        class: &Arc<PodClass>,
        removed: &[ClaimId],
    ) -> bool {
        let Ground { memory, variants, order, nodes, .. } = self;
        let Memory { sets, topology, .. } = &mut *memory;
        let kind = variants.find(view, class, sets, topology);
        let Variants { list, kinds, .. } = variants;
        let kind = &mut kinds[kind];
        let variant = &list[kind.variant];
        if !variant.is_last {
            return true;
        }
        let (demand, volumes) = (Demand::default(), VolumeDemand::default());
        let seeker =
            Seeker { variant, requests: &kind.requests, demand: &demand, volumes: &volumes };
        kind.first = kind.shut.next_absent(kind.first);
        let mut position = kind.first;
        while let Some(place) = order.get(position) {
            let node = &nodes[*place as usize];
            if !removed.contains(&node.claim) {
                if kind.home == Some(position) {
                    return true;
                }
                match node.can_add(memory, &seeker) {
                    Err(Duration::Kind | Duration::Variant) => kind.shut.insert(position),
                    Ok(_) | Err(Duration::Now | Duration::Solve) => {
                        kind.home = Some(position);
                        return true;
                    }
                }
            }
            position = kind.shut.next_absent(position + 1);
        }
        false
    }
}
