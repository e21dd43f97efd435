//! What EC2 does to instances and nodes of a NodePool because the timeline says so.

use std::sync::Arc;

use super::Simulation;
use super::timeline::Action;
use crate::engine::Purpose;
use crate::world::cluster::Claim;
use crate::world::interruptions::MessageKind;
use crate::world::settings::TieBreaks;
use crate::world::{ClaimId, Fact};

impl Simulation {
    /// Deletes the NodeClaim of a number, modulo their count, among the initialized ones that are not being deleted, by
    /// name.
    pub(super) fn interrupt_nth(&mut self, nth: usize) {
        let mut ids = self.claims_of(None);
        ids.retain(|id| {
            let claim = &self.world.cluster.claims[*id];
            claim.is_initialized() && claim.deletion_at.is_none()
        });
        if !ids.is_empty() {
            let id = ids[nth % ids.len()];
            self.world.interrupt(id, MessageKind::SpotInterrupted);
        }
    }

    /// What goes wrong with a NodePool's instances and nodes.
    pub(super) fn fail(&mut self, step: u32, action: &Action) {
        let Some((verb, pool)) = named(action) else {
            return;
        };
        let object: Arc<str> = format!("NodePool/{pool}").into();
        self.note(verb, object.clone());
        let Some(pool) = self.world.cluster.find_pool(pool) else {
            return;
        };
        let now = self.world.now();
        match action {
            Action::FailLaunches { lasts, .. } => self.world.fail_launches(pool, now + *lasts),
            Action::FailJoins { lasts, .. } => self.world.fail_joins(pool, now + *lasts),
            _ => {
                let (wanted, ids) = self.hit(step, pool, action);
                self.count_hits(verb, object, wanted, ids.len());
                ids.into_iter().for_each(|id| self.strike(id, action));
            }
        }
    }

    /// Says so when a step was meant for more than there was.
    pub(super) fn count_hits(
        &mut self,
        action: &'static str,
        object: Arc<str>,
        wanted: usize,
        found: usize,
    ) {
        if found < wanted {
            self.world.record(Fact::StepFellShort { action, object, wanted, found });
        }
    }

    fn strike(&mut self, id: ClaimId, action: &Action) {
        match action {
            Action::Interrupt { .. } => self.world.warn_of_interruption(id),
            Action::RecommendRebalance { .. } => self.world.recommend_rebalance(id),
            Action::RetireInstances { notice, .. } => self.world.schedule_retirement(id, *notice),
            Action::ImpairInstances { .. } => self.world.impair_instance(id),
            Action::LoseInstances { .. } => self.world.reclaim_instance(id),
            Action::BreakNodes { condition, .. } => {
                if let Some(node) = self.world.cluster.claims[id].node {
                    self.world.break_node(node, *condition);
                }
            }
            _ => {}
        }
    }

    /// How many NodeClaims a step is meant for, and those that it hits: the first by name, or drawn by lot.
    fn hit(&self, step: u32, pool: usize, action: &Action) -> (usize, Vec<ClaimId>) {
        let (count, may_be_hit): (usize, fn(&Claim) -> bool) = match action {
            Action::Interrupt { count, .. } | Action::RecommendRebalance { count, .. } => {
                (*count, Claim::is_interruptible)
            }
            Action::RetireInstances { count, .. } | Action::ImpairInstances { count, .. } => {
                (*count, |claim| claim.instance.is_some() && !claim.is_instance_terminating())
            }
            Action::LoseInstances { count, .. } | Action::BreakNodes { count, .. } => {
                (*count, |claim| {
                    claim.is_initialized()
                        && claim.deletion_at.is_none()
                        && !claim.is_instance_terminating()
                })
            }
            _ => return (0, Vec::new()),
        };
        let mut ids = self.claims_of(Some(pool));
        ids.retain(|id| may_be_hit(&self.world.cluster.claims[*id]));
        if self.world.settings.tie_breaks == TieBreaks::Seeded {
            let streams = &self.world.streams;
            ids.sort_by_key(|id| {
                let ordinal = self.world.cluster.claims[*id].ordinal;
                (streams.mix(Purpose::Interruption, ordinal, step), ordinal)
            });
        }
        ids.truncate(count);
        (count, ids)
    }
}

/// The step's name in the journal and its NodePool.
fn named(action: &Action) -> Option<(&'static str, &str)> {
    Some(match action {
        Action::Interrupt { pool, .. } => ("interrupt", pool),
        Action::RecommendRebalance { pool, .. } => ("recommend_rebalance", pool),
        Action::RetireInstances { pool, .. } => ("retire_instances", pool),
        Action::ImpairInstances { pool, .. } => ("impair_instances", pool),
        Action::FailLaunches { pool, .. } => ("fail_launches", pool),
        Action::FailJoins { pool, .. } => ("fail_joins", pool),
        Action::LoseInstances { pool, .. } => ("lose_instances", pool),
        Action::BreakNodes { pool, .. } => ("break_nodes", pool),
        _ => return None,
    })
}
