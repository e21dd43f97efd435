//! The provisioner core as a controller keeps it: the templates of the present NodePools, and the ground of its Solves.

use super::{Classes, Ground, Purpose, Solution, Templates, solve, solve_on};
use crate::world::{ClaimId, ClusterView, PodId};

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Core {
    /// The cluster's generation that the templates belong to.
    generation: u64,
    templates: Templates,
    /// `None` where nothing is to be kept: each Solve makes its own.
    ground: Option<Ground>,
    /// Every Solve goes on to its end and says why pods have no place.
    explains: bool,
}

impl Core {
    /// The core of a cluster.
    pub fn new(view: &ClusterView<'_>) -> Core {
        let templates = Templates::build(view);
        let ground = (!view.settings.plain).then(|| Ground::new(view, &templates));
        Core { generation: view.cluster.generation, templates, ground, explains: false }
    }

    /// A core that takes no shortcuts and says of every pod why it has no place. It decides the same.
    pub fn explaining(view: &ClusterView<'_>) -> Core {
        let templates = Templates::build(view);
        let mut ground = Ground::new(view, &templates);
        ground.no_text = None;
        let generation = view.cluster.generation;
        Core { generation, templates, ground: Some(ground), explains: true }
    }

    /// Brings the core up to date with the cluster. To be called after each change, before the next Solve.
    pub fn refresh(&mut self, view: &ClusterView<'_>) {
        let is_current = self.generation == view.cluster.generation;
        match &mut self.ground {
            Some(ground) if is_current => ground.refresh(view, &self.templates),
            _ if self.explains => *self = Core::explaining(view),
            _ => *self = Core::new(view),
        }
    }

    /// True when a what-if that takes the nodes of `removed` away can be known to find nothing that costs less than
    /// `limit` USD per hour. `lists` are the classes of the nodes' pods; a list that is the
    /// same as before stands for pods and a node that are.
    pub fn is_hopeless<'a>(
        &mut self,
        view: &ClusterView<'_>,
        lists: impl Iterator<Item = &'a Classes> + Clone,
        removed: &[ClaimId],
        limit: f64,
    ) -> bool {
        let Core { templates, ground, explains, .. } = self;
        let ground = ground.as_mut().filter(|_| !*explains);
        ground.is_some_and(|g| g.is_hopeless(view, templates, lists, removed, limit))
    }

    /// As [`Core::is_hopeless`] of one node, where the reason of an earlier answer still holds.
    pub fn is_known_hopeless(
        &mut self,
        view: &ClusterView<'_>,
        list: &Classes,
        removed: ClaimId,
        limit: f64,
    ) -> bool {
        let ground = self.ground.as_mut().filter(|_| !self.explains);
        ground.is_some_and(|ground| ground.is_known(view, removed, list, limit))
    }

    /// Packs `pods` into what `view` shows; see [`solve_on`] for the limit.
    pub fn solve(
        &mut self,
        view: &ClusterView<'_>,
        pods: &[PodId],
        (purpose, limit): (Purpose, Option<f64>),
    ) -> Solution {
        let limit = limit.filter(|_| !self.explains);
        match &mut self.ground {
            Some(ground) => solve_on(ground, view, &self.templates, pods, (purpose, limit)),
            None => solve(view, &self.templates, pods, purpose),
        }
    }
}
