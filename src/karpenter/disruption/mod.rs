//! The disruption loop: one method after another, one success a pass, a 15 s wait before a command is believed.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/controller.go`. The loop is a state machine: a pass that
//! waits for validation blocks it; after a command the next pass follows at once, else after 10 s.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::Timer;
use crate::kube::node_pool::Reason;
use crate::scheduling::{ClaimPlan, Core};
use crate::units::{SimDuration, SimTime};
use crate::world::account::{Account, Answer as Asked, Question};
use crate::world::journal::{ClaimRef, CommandRef};
use crate::world::{ClaimId, ClusterView, Event, Fact, PodId, World};

pub(in crate::karpenter) mod account;
mod balanced;
mod budget;
mod candidate;
mod drift;
mod emptiness;
mod evaluate;
mod listing;
mod multi_node;
mod queue;
mod roster;
mod single_node;
mod static_drift;
mod validation;

use super::{Karpenter, kept};
use balanced::Scores;
use budget::Budgets;
pub use candidate::Candidate;
use evaluate::Others;
use listing::Listing;
use queue::CommandQueue;
use roster::Roster;

/// Pause after a pass without a command.
const POLL: SimDuration = SimDuration::from_seconds(10);
/// Pause while a NodeClaim has no provider id.
const UNSYNCED_POLL: SimDuration = SimDuration::from_seconds(1);
/// Time between computing and believing a command.
const VALIDATION_WAIT: SimDuration = SimDuration::from_seconds(15);
/// A pass that could not start a command is repeated after this long, then after twice as long each time, up to a limit
/// (controller-runtime's work queue).
const FIRST_ERROR_PAUSE: SimDuration = SimDuration::from_ms(5);
const LONGEST_ERROR_PAUSE: SimDuration = SimDuration::from_seconds(1_000);
/// A consolidated mark is void after this long in any case.
const MARK_AGE: SimDuration = SimDuration::from_minutes(5);

/// The five methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Deletes empty nodes.
    Emptiness,
    /// Replaces drifted nodes of static NodePools one by one.
    StaticDrift,
    /// Replaces a drifted node.
    Drift,
    /// Replaces or deletes several nodes with one command.
    MultiNode,
    /// Replaces or deletes one node.
    SingleNode,
}

impl Method {
    /// All methods, in the order in which a pass asks them.
    pub const ORDER: [Method; 5] = [
        Method::Emptiness,
        Method::StaticDrift,
        Method::Drift,
        Method::MultiNode,
        Method::SingleNode,
    ];

    /// The reason whose budgets count.
    pub const fn reason(self) -> Reason {
        match self {
            Method::Emptiness => Reason::Empty,
            Method::StaticDrift | Method::Drift => Reason::Drifted,
            Method::MultiNode | Method::SingleNode => Reason::Underutilized,
        }
    }

    /// The name in outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Emptiness => "Emptiness",
            Method::StaticDrift => "StaticDrift",
            Method::Drift => "Drift",
            Method::MultiNode => "MultiNodeConsolidation",
            Method::SingleNode => "SingleNodeConsolidation",
        }
    }

    /// Saves money by moving pods, so that Balanced pools weigh it.
    const fn is_consolidation(self) -> bool {
        matches!(self, Method::MultiNode | Method::SingleNode)
    }

    /// Must happen at some time: protected pods only hold it up.
    const fn is_eventual(self) -> bool {
        matches!(self, Method::StaticDrift | Method::Drift)
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
    /// NodePools that came meanwhile moved the numbers of others. `pools` names those of the replacements.
    fn renumber_pools(&mut self, world: &World, pools: &[Arc<str>]) {
        for (plan, name) in self.replacements.iter_mut().zip(pools) {
            plan.pool = world.cluster.find_pool(name).unwrap_or(plan.pool);
        }
        for candidate in &mut self.candidates {
            let claim = world.cluster.claims.get(candidate.claim);
            candidate.renumber_pool(claim.map_or(candidate.pool, |claim| claim.pool));
        }
    }

    fn reference(&self, world: &World) -> CommandRef {
        let named = |candidate: &Candidate| -> (ClaimRef, Arc<str>, &'static str) {
            let claim = world.cluster.claim_ref(candidate.claim);
            (claim, candidate.type_name.clone(), candidate.capacity_type.name())
        };
        CommandRef {
            id: self.id,
            method: self.method.name(),
            reason: self.method.reason().name(),
            decision: if self.replacements.is_empty() { "delete" } else { "replace" },
            candidates: self.candidates.iter().filter(|c| c.is_live(world)).map(named).collect(),
            pod_count: self.candidates.iter().map(|candidate| candidate.pods.len()).sum(),
            savings: self.savings,
        }
    }
}

/// The loop's state.
#[derive(Clone, Debug, Default)]
pub(super) struct Disruption {
    waiting: Option<Waiting>,
    roster: Option<Roster>,
    memory: Memory,
    pub(super) queue: CommandQueue,
    command_count: u64,
    /// Passes in a row that ended with an error.
    errors: u32,
    /// The next pass, or the end of the validation wait.
    timer: Option<Timer>,
    /// What decides while a witness looks on.
    explaining: Option<Core>,
}

/// What the methods remember between passes.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// Per method: the cluster state at which it found nothing to do.
    marks: [Option<SimTime>; 5],
    /// NodePools that single-node consolidation did not reach before its time was up.
    unseen: BTreeSet<Arc<str>>,
}

impl Memory {
    /// The method is marked with the cluster's state, which is less than five minutes old.
    fn is_marked(&self, world: &World, position: usize) -> bool {
        let state = world.cluster.unconsolidated_at;
        self.marks[position] == Some(state) && world.now().since(state) < MARK_AGE
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    position: usize,
    command: Command,
    /// NodePools of its replacements, by name.
    pools: Vec<Arc<str>>,
    due_at: SimTime,
}

/// What a method found.
enum Found {
    /// A command that has to wait for its validation.
    Command(Command),
    /// Commands that start at once.
    AtOnce(Vec<Command>),
    /// Nothing, all candidates considered.
    Nothing,
    /// Nothing, but a budget held a candidate back or time was up.
    NothingYet,
}

impl Found {
    fn nothing(constrained: bool) -> Found {
        if constrained { Found::NothingYet } else { Found::Nothing }
    }
}

/// One question to a method.
struct Search<'a> {
    view: &'a ClusterView<'a>,
    core: &'a mut Core,
    scores: Scores,
    budgets: Budgets,
    /// What every what-if places beside its candidates' pods, once one was made.
    others: Option<Others>,
    /// Computing time of the pass so far.
    spent: SimDuration,
    /// NodePools that single-node consolidation tries first; those that it did not reach this time.
    unseen: BTreeSet<Arc<str>>,
    /// What a witness is told.
    account: Option<Box<Question>>,
}

impl Search<'_> {
    /// Charges one what-if. Karpenter's searches are limited in wall time; a scenario may say how long a what-if takes.
    fn charge(&mut self) {
        self.spent += self.view.settings.karpenter.evaluation_time;
    }

    fn is_witnessed(&self) -> bool {
        self.account.is_some()
    }

    fn compute(&mut self, method: Method, listing: &Listing<'_>) -> Found {
        match method {
            Method::Emptiness => emptiness::compute(self, listing.ordered()),
            Method::StaticDrift => static_drift::compute(self, listing.ordered()),
            Method::Drift => drift::compute(self, listing.ordered()),
            Method::MultiNode => multi_node::compute(self, listing),
            Method::SingleNode => single_node::compute(self, listing),
        }
    }
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

/// What a controller keeps between its passes.
#[derive(Clone, Debug)]
pub struct Kept {
    core: Core,
    roster: Roster,
}

impl Kept {
    /// Of a controller that just started.
    pub fn new(view: &ClusterView<'_>) -> Kept {
        Kept { core: Core::new(view), roster: Roster::new(view) }
    }

    /// Brings it up to date with the cluster, as each pass begins.
    pub fn refresh(&mut self, view: &ClusterView<'_>) {
        self.core.refresh(view);
        self.roster.refresh(view);
    }
}

/// Asks one method, as if it were the first pass of a controller that just started.
pub fn ask(view: &ClusterView<'_>, kept: &mut Kept, method: Method) -> Answer {
    let (mut answer, has_to_wait) = compute(view, kept, method);
    if has_to_wait {
        let Kept { core, roster } = kept;
        let is_valid = |c: &mut Command| validation::validate(view, core, roster, c).is_ok();
        answer.commands.retain_mut(is_valid);
    }
    answer
}

/// The number of commands that one method finds, none of them validated.
pub fn search(view: &ClusterView<'_>, kept: &mut Kept, method: Method) -> usize {
    compute(view, kept, method).0.commands.len()
}

/// What one method finds, and whether it has to be validated.
fn compute(view: &ClusterView<'_>, kept: &mut Kept, method: Method) -> (Answer, bool) {
    let Kept { core, roster } = kept;
    let listing = roster.candidates(view, method);
    let budgets = Budgets::build(view, roster.counts(), method.reason());
    let allowed = budgets.allowed().to_vec();
    let (spent, unseen) = (SimDuration::ZERO, BTreeSet::new());
    let (others, account) = (None, None);
    let scores = listing.scores.clone();
    let mut search = Search { view, core, scores, budgets, others, spent, unseen, account };
    let found = if listing.is_empty() { Found::Nothing } else { search.compute(method, &listing) };
    let (commands, has_to_wait) = match found {
        Found::Command(command) => (vec![command], true),
        Found::AtOnce(commands) => (commands, false),
        Found::Nothing | Found::NothingYet => (Vec::new(), false),
    };
    (Answer { candidates: listing.ordered(), budgets: allowed, commands }, has_to_wait)
}

impl Disruption {
    /// The first pass comes at the controller's start.
    pub(super) fn start(&mut self, world: &mut World) {
        self.schedule(world, world.now());
    }

    fn schedule(&mut self, world: &mut World, at: SimTime) {
        self.timer = Some(world.schedule(at, Event::DisruptionLoop));
    }

    /// The loop ends.
    pub(super) fn cancel(&mut self, world: &mut World) {
        if let Some(timer) = self.timer.take() {
            world.queue.cancel(timer);
        }
    }

    /// The loop of the next controller: it knows nothing, only the numbers of commands go on.
    pub(super) fn successor(&self) -> Disruption {
        Disruption { command_count: self.command_count, ..Disruption::default() }
    }

    pub(super) fn validation_due_at(&self) -> Option<SimTime> {
        self.waiting.as_ref().map(|waiting| waiting.due_at)
    }
}

impl Karpenter {
    /// A pass begins, or its validation wait is over.
    pub fn on_disruption_loop(&mut self, world: &mut World) {
        let next = match self.disruption.waiting.take() {
            Some(waiting) => self.disruption.resume(world, &mut self.core, waiting),
            None if !world.view().is_synced() => Some(UNSYNCED_POLL),
            None => {
                clean_up(world);
                self.disruption.methods(world, &mut self.core, 0)
            }
        };
        if let Some(pause) = next {
            let at = world.now() + pause;
            self.disruption.schedule(world, at);
        }
    }
}

/// Takes the disruption taint off nodes that no command holds: leftovers of failed commands.
fn clean_up(world: &mut World) {
    let view = world.view();
    let leftovers: Vec<_> = view
        .tainted_state_nodes()
        .filter(|(_, claim)| !claim.in_command && !claim.is_deleting())
        .filter_map(|(_, claim)| claim.node)
        .collect();
    leftovers.into_iter().for_each(|node| world.untaint_disrupted(node));
}

impl Disruption {
    /// Runs the methods from `position` on. Returns the pause until the next pass, `None` while a validation waits.
    ///
    /// DEVIATION: computing time that a scenario charges passes after the pass, which sees the state of its beginning.
    fn methods(
        &mut self,
        world: &mut World,
        core: &mut Option<Core>,
        position: usize,
    ) -> Option<SimDuration> {
        let mut spent = SimDuration::ZERO;
        let roster = self.roster(world);
        let (mut pause, mut shared) = (None, None);
        for position in position..Method::ORDER.len() {
            match self.ask(world, core, (&roster, &mut shared), position, &mut spent) {
                Found::Command(command) => {
                    self.wait(world, position, command, spent);
                    self.roster = Some(roster);
                    return None;
                }
                Found::AtOnce(commands) => {
                    pause = Some(self.start_all(world, commands));
                    break;
                }
                Found::Nothing => self.mark_consolidated(world, position),
                Found::NothingYet => {}
            }
        }
        self.roster = Some(roster);
        if pause.is_none() {
            self.errors = 0;
        }
        Some(pause.unwrap_or(POLL) + spent)
    }

    /// Asks one method.
    fn ask<'a>(
        &mut self,
        world: &mut World,
        core: &mut Option<Core>,
        (roster, shared): (&'a Roster, &mut Option<Listing<'a>>),
        position: usize,
        spent: &mut SimDuration,
    ) -> Found {
        let method = Method::ORDER[position];
        // Most questions end here: candidates are not even looked for.
        if self.memory.is_marked(world, position) {
            self.tell_marked(world, method);
            return Found::NothingYet;
        }
        // Both methods of consolidation have the same candidates.
        let listing = match shared.take() {
            Some(listed) if method == Method::SingleNode && !world.settings.plain => listed,
            _ => roster.candidates(&world.view(), method),
        };
        if listing.is_empty() {
            if world.is_witnessed() {
                let question = account::question(&world.view(), method, &[], None);
                world.tell(Account::Question(question));
            }
            return Found::NothingYet;
        }
        if self.is_consolidated(world, position) {
            self.tell_marked(world, method);
            return Found::NothingYet;
        }
        let view = world.view();
        let budgets = Budgets::build(&view, roster.counts(), method.reason());
        let account = world.is_witnessed().then(|| {
            let budgets = (budgets.allowed(), roster.counts());
            account::question(&view, method, &listing.ordered(), Some(budgets))
        });
        let core = match account.is_some() {
            true => explaining(&mut self.explaining, &view),
            false => kept(core, world),
        };
        let (others, unseen) = (None, std::mem::take(&mut self.memory.unseen));
        let (view, spent_before, scores) = (&view, *spent, listing.scores.clone());
        let mut search =
            Search { view, core, scores, budgets, others, spent: spent_before, unseen, account };
        let found = search.compute(method, &listing);
        let account = search.account;
        (*spent, self.memory.unseen) = (search.spent, search.unseen);
        if let Some(mut question) = account {
            question.answer = account::answer(&found, self.command_count);
            world.tell(Account::Question(question));
        }
        if method == Method::MultiNode {
            *shared = Some(listing);
        }
        found
    }

    /// Tells a witness that a method is not asked, since nothing changed that could give it something to do.
    fn tell_marked(&self, world: &mut World, method: Method) {
        if world.is_witnessed() {
            let since = world.cluster.unconsolidated_at;
            let question = account::begin(&world.view(), method, Asked::Marked(since));
            world.tell(Account::Question(question));
        }
    }

    /// The roster, up to date with the cluster. It is to be given back.
    fn roster(&mut self, world: &World) -> Roster {
        let view = world.view();
        match self.roster.take() {
            Some(mut roster) => {
                roster.refresh(&view);
                roster
            }
            None => Roster::new(&view),
        }
    }

    /// A command was found: it has to be as true in 15 s.
    fn wait(
        &mut self,
        world: &mut World,
        position: usize,
        mut command: Command,
        spent: SimDuration,
    ) {
        self.number(&mut command);
        world.record(Fact::DisruptionComputed(command.reference(world)));
        let due_at = world.now() + spent + VALIDATION_WAIT;
        self.schedule(world, due_at);
        let name = |plan: &ClaimPlan| world.cluster.pools[plan.pool].name.clone();
        let pools = command.replacements.iter().map(name).collect();
        self.waiting = Some(Waiting { position, command, pools, due_at });
    }

    fn number(&mut self, command: &mut Command) {
        command.id = self.command_count;
        self.command_count += 1;
    }

    /// Starts commands; the next pass follows at once, or, if one could not start, after a pause that doubles.
    fn start_all(&mut self, world: &mut World, commands: Vec<Command>) -> SimDuration {
        let mut failed = false;
        for mut command in commands {
            self.number(&mut command);
            failed |= !self.queue.start(world, command);
        }
        if !failed {
            self.errors = 0;
            return SimDuration::AT_ONCE;
        }
        let pause = SimDuration::from_ms(FIRST_ERROR_PAUSE.ms() << self.errors.min(20));
        self.errors += 1;
        pause.min(LONGEST_ERROR_PAUSE)
    }

    /// The validation wait is over: the command starts, or the pass goes on with the next method.
    fn resume(
        &mut self,
        world: &mut World,
        core: &mut Option<Core>,
        waiting: Waiting,
    ) -> Option<SimDuration> {
        let Waiting { position, mut command, pools, .. } = waiting;
        command.renumber_pools(world, &pools);
        let roster = self.roster(world);
        let valid = validation::validate(&world.view(), kept(core, world), &roster, &mut command);
        if valid.is_err() && world.is_witnessed() {
            let view = world.view();
            let core = explaining(&mut self.explaining, &view);
            let told = account::validation(&view, core, &roster, &command);
            world.tell(Account::Validation(told));
        }
        self.roster = Some(roster);
        match valid {
            Ok(()) => {
                // It has its number already.
                self.command_count -= u64::from(command.id + 1 == self.command_count);
                Some(self.start_all(world, vec![command]))
            }
            Err(failure) => {
                let command = command.reference(world);
                let (failure, message) = (failure.kind, failure.message.into());
                world.record(Fact::ValidationFailed { command, failure, message });
                self.methods(world, core, position + 1)
            }
        }
    }

    fn is_consolidated(&self, world: &mut World, position: usize) -> bool {
        let method = Method::ORDER[position];
        // Drift has no mark, and does not look at the cluster's state.
        !method.is_eventual() && self.memory.marks[position] == Some(consolidation_state(world))
    }

    fn mark_consolidated(&mut self, world: &mut World, position: usize) {
        // Emptiness is never marked: that it collected nothing always means that a budget held something back.
        if Method::ORDER[position].is_consolidation() {
            self.memory.marks[position] = Some(consolidation_state(world));
        }
    }
}

/// The core that explains, up to date with the cluster. Templates of many NodePools take longer to make than to use.
fn explaining<'a>(core: &'a mut Option<Core>, view: &ClusterView<'_>) -> &'a mut Core {
    match core.as_mut().filter(|_| !view.settings.plain) {
        Some(core) => core.refresh(view),
        None => *core = Some(Core::explaining(view)),
    }
    core.get_or_insert_with(|| Core::explaining(view))
}

/// When the cluster last changed in a way that voids marks; at most five minutes ago.
fn consolidation_state(world: &mut World) -> SimTime {
    if world.now().since(world.cluster.unconsolidated_at) >= MARK_AGE {
        world.mark_unconsolidated();
    }
    world.cluster.unconsolidated_at
}
