//! What EC2 does to instances and nodes of a NodePool because the timeline says so.

use std::sync::Arc;

use super::Simulation;
use crate::engine::Purpose;
use crate::units::{SimDuration, SimTime};
use crate::world::cluster::Claim;
use crate::world::faults::NodeCondition;
use crate::world::interruptions::{Announcement, MessageKind};
use crate::world::settings::TieBreaks;
use crate::world::{ClaimId, Fact, PoolIndex, World};

/// How instances or nodes come to harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EC2 warns that it will take spot instances back.
    Interruption,
    /// EC2 recommends to replace spot instances.
    RebalanceRecommendation,
    /// EC2 schedules the retirement of instances.
    Retirement {
        /// How long before their end.
        notice: SimDuration,
    },
    /// Status checks of instances fail from now on.
    Impairment,
    /// Instances end without notice.
    Loss,
    /// A condition of nodes turns bad.
    BadCondition(NodeCondition),
}

impl Fault {
    /// The step's name in the journal.
    const fn verb(self) -> &'static str {
        match self {
            Fault::Interruption => "interrupt",
            Fault::RebalanceRecommendation => "recommend_rebalance",
            Fault::Retirement { .. } => "retire_instances",
            Fault::Impairment => "impair_instances",
            Fault::Loss => "lose_instances",
            Fault::BadCondition(_) => "break_nodes",
        }
    }
}

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
            self.world.interrupt(id, MessageKind::SpotInterrupted, "CordonAndDrain");
        }
    }

    /// Something of a NodePool's launches goes wrong for a while.
    pub(super) fn fail_for(
        &mut self,
        (verb, fail): (&'static str, fn(&mut World, PoolIndex, SimTime)),
        pool: &str,
        lasts: SimDuration,
    ) {
        self.note(verb, format!("NodePool/{pool}").into());
        if let Some(pool) = self.world.cluster.find_pool(pool) {
            let until = self.world.now() + lasts;
            fail(&mut self.world, pool, until);
        }
    }

    /// Does harm to so many of a NodePool's instances or nodes.
    pub(super) fn strike(&mut self, step: u32, fault: Fault, pool: &str, count: usize) {
        let object: Arc<str> = format!("NodePool/{pool}").into();
        self.note(fault.verb(), object.clone());
        let mut ids = match self.world.cluster.find_pool(pool) {
            Some(pool) => self.claims_of(Some(pool)),
            None => Vec::new(),
        };
        ids.retain(|id| self.may_strike(&self.world.cluster.claims[*id], fault));
        self.draw(step, &mut ids);
        ids.truncate(count);
        self.count_hits(fault.verb(), object, count, ids.len());
        for id in ids {
            match fault {
                Fault::Interruption => self.world.warn_of_interruption(id),
                Fault::RebalanceRecommendation => self.world.recommend_rebalance(id),
                Fault::Retirement { notice } => self.world.schedule_retirement(id, notice),
                Fault::Impairment => self.world.impair_instance(id),
                Fault::Loss => self.world.reclaim_instance(id),
                Fault::BadCondition(condition) => {
                    let node = self.world.cluster.claims[id].node;
                    node.into_iter().for_each(|node| self.world.break_node(node, condition));
                }
            }
        }
    }

    /// There is something to harm, to which the same has not been done before.
    fn may_strike(&self, claim: &Claim, fault: Fault) -> bool {
        let Some(instance) = claim.instance.as_ref().filter(|i| i.terminating_at.is_none()) else {
            return false;
        };
        let is_news = |what| !instance.announced.contains(&what);
        let serves = claim.is_initialized() && claim.deletion_at.is_none();
        match fault {
            Fault::Interruption => claim.is_interruptible() && is_news(Announcement::SpotNotice),
            Fault::RebalanceRecommendation => {
                claim.is_interruptible() && is_news(Announcement::Rebalance)
            }
            Fault::Retirement { .. } => is_news(Announcement::Retirement),
            Fault::Impairment => is_news(Announcement::Impairment),
            Fault::Loss => serves,
            Fault::BadCondition(condition) => {
                let node = claim.node.and_then(|node| self.world.cluster.nodes.get(node));
                let is_bad = |(known, _): &(NodeCondition, _)| *known == condition;
                serves && node.is_some_and(|node| !node.conditions.iter().any(is_bad))
            }
        }
    }

    /// Puts NodeClaims in the order of their names, or one that is drawn by lot.
    fn draw(&self, step: u32, ids: &mut [ClaimId]) {
        if self.world.settings.tie_breaks == TieBreaks::Seeded {
            let streams = &self.world.streams;
            ids.sort_by_key(|id| {
                let ordinal = self.world.cluster.claims[*id].ordinal;
                (streams.mix(Purpose::Interruption, ordinal, step), ordinal)
            });
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
}
