//! The provisioner core as a controller keeps it: the templates of the present NodePools, and the ground of its Solves.

use std::sync::Arc;

use super::{Ground, Purpose, Solution, Templates, solve, solve_on};
use crate::kube::PodClass;
use crate::world::{ClaimId, ClusterView, PodId};

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Core {
    /// The cluster's generation that the templates belong to.
    generation: u64,
    templates: Templates,
    ground: Ground,
    /// Keeps nothing: the yardstick for what is kept.
    plain: bool,
}

impl Core {
    /// The core of a cluster.
    pub fn new(view: &ClusterView<'_>) -> Core {
        let templates = Templates::build(view);
        let ground = Ground::new(view, &templates);
        let plain = view.settings.plain;
        Core { generation: view.cluster.generation, templates, ground, plain }
    }

    /// Brings the core up to date with the cluster. To be called after each change, before the next Solve.
    pub fn refresh(&mut self, view: &ClusterView<'_>) {
        match self.plain || self.generation != view.cluster.generation {
            true => *self = Core::new(view),
            false => self.ground.refresh(view, &self.templates),
        }
    }

    /// The templates of the NodePools.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// True when a what-if that takes the nodes of `removed` away can be known to find nothing that costs less than
    /// `limit` USD per hour. `classes` are those of the nodes' pods, with their numbers.
    pub fn is_hopeless<'a>(
        &mut self,
        view: &ClusterView<'_>,
        classes: impl Iterator<Item = &'a (Arc<PodClass>, u32)> + Clone,
        removed: &[ClaimId],
        limit: f64,
    ) -> bool {
        !self.plain && self.ground.is_hopeless(view, &self.templates, classes, removed, limit)
    }

    /// Packs `pods` into what `view` shows; see [`solve`].
    pub fn solve(&mut self, view: &ClusterView<'_>, pods: &[PodId], purpose: Purpose) -> Solution {
        match self.plain {
            true => solve(view, &self.templates, pods, purpose),
            false => solve_on(&mut self.ground, view, &self.templates, pods, (purpose, None)),
        }
    }

    /// Packs the pods of a what-if of consolidation whose outcome has to cost less than `limit` USD per hour; see
    /// [`solve_on`].
    pub fn try_below(&mut self, view: &ClusterView<'_>, pods: &[PodId], limit: f64) -> Solution {
        let purpose = Purpose::Consolidation;
        match self.plain {
            true => solve(view, &self.templates, pods, purpose),
            false => {
                solve_on(&mut self.ground, view, &self.templates, pods, (purpose, Some(limit)))
            }
        }
    }
}
