//! The disruption loop: one method after another, one success a pass, a 15 s wait before a command is believed.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/controller.go`. The loop is a state machine: a pass that
//! waits for validation blocks it; after a command the next pass follows at once, else after 10 s.

use crate::kube::node_pool::Reason;
use crate::scheduling::{ClaimPlan, Templates};
use crate::units::{SimDuration, SimTime};
use crate::world::journal::{ClaimRef, CommandRef};
use crate::world::{ClaimId, ClusterView, Event, Fact, PodId, World};

mod budget;
mod candidate;
mod emptiness;
mod evaluate;
mod multi_node;
mod queue;
mod single_node;
mod validation;

use super::Karpenter;
use budget::Budgets;
pub use candidate::Candidate;
use queue::CommandQueue;

/// Pause after a pass without a command.
const POLL: SimDuration = SimDuration::from_seconds(10);
/// Pause while a NodeClaim has no provider id.
const UNSYNCED_POLL: SimDuration = SimDuration::from_seconds(1);
/// Time between computing and believing a command.
const VALIDATION_WAIT: SimDuration = SimDuration::from_seconds(15);
/// A consolidated mark is void after this long in any case.
const MARK_AGE: SimDuration = SimDuration::from_minutes(5);

/// The methods that are modelled, in upstream's order. Drift stands between emptiness and consolidation upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Deletes empty nodes.
    Emptiness,
    /// Replaces or deletes several nodes with one command.
    MultiNode,
    /// Replaces or deletes one node.
    SingleNode,
}

impl Method {
    /// All methods, in the order in which a pass asks them.
    pub const ORDER: [Method; 3] = [Method::Emptiness, Method::MultiNode, Method::SingleNode];

    /// The reason whose budgets count.
    pub const fn reason(self) -> Reason {
        match self {
            Method::Emptiness => Reason::Empty,
            Method::MultiNode | Method::SingleNode => Reason::Underutilized,
        }
    }

    /// The name in outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Emptiness => "Emptiness",
            Method::MultiNode => "MultiNodeConsolidation",
            Method::SingleNode => "SingleNodeConsolidation",
        }
    }
}

/// A command as computed, before it starts.
#[derive(Clone, Debug)]
pub struct Command {
    id: u64,
    method: Method,
    /// The nodes to go.
    pub candidates: Vec<Candidate>,
    /// What is launched for them first.
    pub replacements: Vec<ClaimPlan>,
    /// Where the what-if put pods on existing nodes.
    pub placements: Vec<(ClaimId, Vec<PodId>)>,
    /// Karpenter's estimate, USD per hour.
    pub savings: f64,
}

impl Command {
    fn reference(&self, world: &World) -> CommandRef {
        let named = |candidate: &Candidate| -> (ClaimRef, std::sync::Arc<str>, &'static str) {
            let claim = world.cluster.claim_ref(candidate.claim);
            (claim, candidate.type_name.clone(), candidate.capacity_type.name())
        };
        CommandRef {
            id: self.id,
            method: self.method.name(),
            reason: self.method.reason().name(),
            decision: if self.replacements.is_empty() { "delete" } else { "replace" },
            candidates: self.candidates.iter().filter(|c| c.is_live(world)).map(named).collect(),
            pod_count: self.candidates.iter().map(|candidate| candidate.pod_count).sum(),
            savings: self.savings,
        }
    }
}

/// The loop's state.
#[derive(Clone, Debug, Default)]
pub(super) struct Disruption {
    waiting: Option<Waiting>,
    /// Per method: the cluster state at which it found nothing to do.
    marks: [Option<SimTime>; 3],
    pub(super) queue: CommandQueue,
    command_count: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    position: usize,
    command: Command,
    due_at: SimTime,
}

/// What a method found.
enum Found {
    /// A command that has to wait for its validation.
    Command(Command),
    /// Nothing; the flag says whether a budget held a candidate back.
    Nothing { constrained: bool },
}

/// What a method would do on a given state, and why.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its candidates, best saving per cost of moving first.
    pub candidates: Vec<Candidate>,
    /// Disruptions that the budgets allow for the method's reason, by NodePool.
    pub budgets: Vec<i64>,
    /// Its commands, validated on the same state.
    pub commands: Vec<Command>,
}

/// Asks one method, as if it were the first pass of a controller that just started.
pub fn ask(view: &ClusterView<'_>, templates: &Templates, method: Method) -> Answer {
    let candidates = candidate::of_method(view, method);
    let budgets = Budgets::build(view, method.reason()).allowed().to_vec();
    let found = match candidates.is_empty() {
        true => Found::Nothing { constrained: false },
        false => compute(view, templates, method, candidates.clone()),
    };
    let command = match found {
        Found::Command(mut command) => {
            let valid = validation::validate(view, templates, &mut command).is_ok();
            valid.then_some(command)
        }
        Found::Nothing { .. } => None,
    };
    Answer { candidates, budgets, commands: command.into_iter().collect() }
}

fn compute(
    view: &ClusterView<'_>,
    templates: &Templates,
    method: Method,
    candidates: Vec<Candidate>,
) -> Found {
    match method {
        Method::Emptiness => emptiness::compute(view, candidates),
        Method::MultiNode => multi_node::compute(view, templates, candidates),
        Method::SingleNode => single_node::compute(view, templates, candidates),
    }
}

impl Disruption {
    /// The first pass comes at the controller's start.
    pub(super) fn start(&mut self, world: &mut World) {
        world.schedule(world.now(), Event::DisruptionLoop);
    }

    pub(super) fn validation_due_at(&self) -> Option<SimTime> {
        self.waiting.as_ref().map(|waiting| waiting.due_at)
    }
}

impl Karpenter {
    /// A pass begins, or its validation wait is over.
    pub fn on_disruption_loop(&mut self, world: &mut World) {
        self.templates(world);
        let templates = self.templates.take();
        let Some((generation, built)) = templates else {
            return;
        };
        let next = match self.disruption.waiting.take() {
            Some(waiting) => self.disruption.resume(world, &built, waiting),
            None if !world.view().is_synced() => Some(UNSYNCED_POLL),
            None => {
                clean_up(world);
                self.disruption.methods(world, &built, 0)
            }
        };
        self.templates = Some((generation, built));
        if let Some(pause) = next {
            world.schedule(world.now() + pause, Event::DisruptionLoop);
        }
    }
}

/// Takes the disruption taint off nodes that no command holds: leftovers of failed commands.
fn clean_up(world: &mut World) {
    let leftovers: Vec<_> = world
        .view()
        .state_nodes()
        .filter(|(_, claim)| !claim.in_command && !claim.is_deleting())
        .filter_map(|(_, claim)| claim.node)
        .filter(|node| world.is_tainted_disrupted(*node))
        .collect();
    leftovers.into_iter().for_each(|node| world.untaint_disrupted(node));
}

impl Disruption {
    /// Runs the methods from `position` on. Returns the pause until the next pass, `None` while a validation waits.
    fn methods(
        &mut self,
        world: &mut World,
        templates: &Templates,
        position: usize,
    ) -> Option<SimDuration> {
        for (position, method) in Method::ORDER.into_iter().enumerate().skip(position) {
            let candidates = candidate::of_method(&world.view(), method);
            if candidates.is_empty() || self.is_consolidated(world, position) {
                continue;
            }
            match compute(&world.view(), templates, method, candidates) {
                Found::Command(mut command) => {
                    command.id = self.command_count;
                    self.command_count += 1;
                    world.record(Fact::DisruptionComputed(command.reference(world)));
                    let due_at = world.now() + VALIDATION_WAIT;
                    world.schedule(due_at, Event::DisruptionLoop);
                    self.waiting = Some(Waiting { position, command, due_at });
                    return None;
                }
                Found::Nothing { constrained: false } => self.mark_consolidated(world, position),
                Found::Nothing { constrained: true } => {}
            }
        }
        Some(POLL)
    }

    /// The validation wait is over: the command starts, or the pass goes on with the next method.
    fn resume(
        &mut self,
        world: &mut World,
        templates: &Templates,
        waiting: Waiting,
    ) -> Option<SimDuration> {
        let Waiting { position, mut command, .. } = waiting;
        match validation::validate(&world.view(), templates, &mut command) {
            Ok(()) => {
                self.queue.start(world, command);
                Some(SimDuration::ZERO)
            }
            Err(failure) => {
                let command = command.reference(world);
                let (failure, message) = (failure.kind, failure.message.into());
                world.record(Fact::ValidationFailed { command, failure, message });
                self.methods(world, templates, position + 1)
            }
        }
    }

    fn is_consolidated(&self, world: &mut World, position: usize) -> bool {
        let state = consolidation_state(world);
        self.marks[position] == Some(state)
    }

    fn mark_consolidated(&mut self, world: &mut World, position: usize) {
        // Emptiness is never marked: that it collected nothing always means that a budget held something back.
        if Method::ORDER[position] != Method::Emptiness {
            self.marks[position] = Some(consolidation_state(world));
        }
    }
}

/// When the cluster last changed in a way that voids marks; at most five minutes ago.
fn consolidation_state(world: &mut World) -> SimTime {
    if world.now().since(world.cluster.unconsolidated_at) >= MARK_AGE {
        world.mark_unconsolidated();
    }
    world.cluster.unconsolidated_at
}
