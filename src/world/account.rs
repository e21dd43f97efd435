//! The account of why: what the controllers saw and weighed, told to a witness and to nobody else.
//!
//! Facts say what happened; accounts say what was asked, of whom, and why nothing came of it. They are made only while
//! a [`Witness`] looks on, and decide nothing. Texts are those of Karpenter's events where it publishes one.

use std::sync::Arc;

use crate::units::SimTime;

/// One who looks on for a stretch of virtual time.
#[derive(Clone, Debug)]
pub struct Witness {
    from: SimTime,
    until: SimTime,
    accounts: Vec<Account>,
}

/// One account.
#[derive(Clone, Debug, PartialEq)]
pub enum Account {
    /// The disruption loop asked a method.
    Question(Box<Question>),
    /// The provisioner placed a batch of pods.
    Batch(Box<Batch>),
    /// A command did not survive its validation.
    Validation(Box<Validation>),
}

/// A question of the disruption loop to one of its methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// When.
    pub at: SimTime,
    /// `Emptiness`, `Drift`, `MultiNodeConsolidation`, ...
    pub method: &'static str,
    /// The reason whose budgets count: `Empty`, `Drifted`, `Underutilized`.
    pub reason: &'static str,
    /// What came of it.
    pub answer: Answer,
    /// What the budgets allowed at its beginning, by NodePool, ascending by name. Empty if no candidate made it worth
    /// asking.
    pub budgets: Vec<Budget>,
    /// Nodes that it may take, in the order in which they are looked at.
    pub candidates: Vec<Weighed>,
    /// Nodes that are none, ascending by name.
    pub stays: Vec<Stay>,
    /// What was tried, in order.
    pub what_ifs: Vec<WhatIf>,
}

/// What the budgets of a NodePool allow for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The NodePool.
    pub pool: Arc<str>,
    /// Disruptions that are left; none without limit.
    pub left: Option<i64>,
    /// Its nodes that count: initialized, and not told to terminate.
    pub nodes: i64,
    /// Of these, on their way out or not ready.
    pub disrupting: i64,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was not asked: it had found nothing to do, and the cluster has not changed since this instant.
    Marked(SimTime),
    /// No node is a candidate.
    NoCandidates,
    /// Nothing to do; the cluster is marked as consolidated.
    Nothing,
    /// Nothing, but a budget or the method itself leaves something for later.
    NothingYet,
    /// Commands, from this number on.
    Commands(u64, usize),
}

/// A candidate with what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// The node.
    pub node: Arc<str>,
    /// Its NodePool.
    pub pool: Arc<str>,
    /// Its instance type.
    pub instance_type: Arc<str>,
    /// `on-demand`, `spot` or `reserved`.
    pub capacity_type: &'static str,
    /// USD per hour.
    pub price: f64,
    /// Pods that would have to move.
    pub pods: usize,
    /// 1 and the eviction costs of the pods.
    pub reschedule_cost: f64,
    /// Why the method went past it, if it did without trying.
    pub passed: Option<Passed>,
}

/// Why a node is passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Passed {
    /// The rule in a word or two: `budget`, `nominated`, `price` ...
    pub rule: &'static str,
    /// Karpenter's words, or ours where it has none.
    pub message: Arc<str>,
}

/// A node that a method does not consider.
#[derive(Clone, Debug, PartialEq)]
pub struct Stay {
    /// The node.
    pub node: Arc<str>,
    /// Why.
    pub passed: Passed,
    /// Holds for every method, and is known as soon as the first is asked.
    pub general: bool,
}

/// What would happen without some nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatIf {
    /// The nodes.
    pub nodes: Vec<Arc<str>>,
    /// What they cost, USD per hour.
    pub paid: f64,
    /// Where pods would find room: existing nodes with the number of pods.
    pub existing: Vec<(Arc<str>, usize)>,
    /// Nodes that would be needed, before prices are looked at.
    pub plans: Vec<Plan>,
    /// Karpenter's estimate of the saving, USD per hour, if a command comes of it.
    pub savings: Option<f64>,
    /// Balanced NodePools: what the move scores, and what it has to.
    pub scores: Vec<Score>,
    /// Why nothing comes of it.
    pub refusal: Option<Passed>,
}

/// A NodeClaim that would be needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its NodePool.
    pub pool: Arc<str>,
    /// Pods on it.
    pub pods: usize,
    /// How many instance types it may launch.
    pub type_count: usize,
    /// The first of them by price, each with the worst price at which it may launch, USD per hour.
    pub cheapest: Vec<(Arc<str>, f64)>,
}

/// The score of a move in one Balanced NodePool.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The NodePool.
    pub pool: Arc<str>,
    /// The score.
    pub score: f64,
    /// The least that is approved.
    pub threshold: f64,
    /// Saving as a share of what the pool costs.
    pub saved: f64,
    /// Disruption as a share of that of the pool.
    pub disturbed: f64,
}

/// Nodes that did not take a pod for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason, in our words: Karpenter has none.
    pub reason: &'static str,
    /// How many nodes.
    pub count: usize,
    /// One of them.
    pub node: Arc<str>,
    /// More about that one; may be empty.
    pub detail: Arc<str>,
}

/// A command that did not survive its validation, with what became of its nodes meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// When.
    pub at: SimTime,
    /// The command's number.
    pub command: u64,
    /// Its nodes that are no candidates any more, and why.
    pub stays: Vec<Stay>,
    /// What would happen now without its nodes, if all are candidates still.
    pub now: Option<WhatIf>,
}

/// A NodeClaim that a batch asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Its name; none where a limit forbade to create it.
    pub claim: Option<Arc<str>>,
    /// What it may be.
    pub plan: Plan,
    /// Its pods, `namespace/name`.
    pub pods: Vec<Arc<str>>,
}

/// Where the provisioner put the pods of a batch. Pods are `namespace/name`.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// When.
    pub at: SimTime,
    /// On nodes that exist or are on their way.
    pub existing: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// On new NodeClaims.
    pub claims: Vec<Planned>,
    /// Nowhere, each with Karpenter's text.
    pub unplaced: Vec<(Arc<str>, Arc<str>)>,
    /// Why existing nodes did not take the pods of the last two, pods of one kind together.
    pub refused: Vec<(Vec<Arc<str>>, Vec<Refused>)>,
}

impl Witness {
    /// Sees what happens from `from` on, before `until`.
    pub fn new(from: SimTime, until: SimTime) -> Witness {
        Witness { from, until, accounts: Vec::new() }
    }

    /// Sees everything.
    pub fn always() -> Witness {
        Witness::new(SimTime::ZERO, SimTime::from_ms(i64::MAX))
    }

    /// Sees what happens now.
    pub fn sees(&self, now: SimTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Takes an account.
    pub fn tell(&mut self, account: Account) {
        self.accounts.push(account);
    }

    /// Hands over what was told since the last call.
    pub fn drain(&mut self) -> Vec<Account> {
        std::mem::take(&mut self.accounts)
    }
}
