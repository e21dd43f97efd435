//! Topology during one Solve: the groups of all pods, where they let a pod go, and what each placement adds. What pods
//! want of topology, and what runs where, is kept from one Solve to the next.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/topology.go`.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::census::{Absent, Census};
use super::domain::{DomainSet, DomainTable, Keys};
use super::plain;
use super::recipe::{Ingredient, Recipe};
use super::requirement_set::{RequirementSets, SetId};
use super::template::Source;
use super::topology_group::{Choice, Group, GroupKind, Identity};
use crate::engine::{Purpose, Streams};
use crate::kube::requirement::{AllowUndefined, Operator, Requirement, Requirements};
use crate::kube::taint::Taint;
use crate::kube::topology::PodAffinityTerm;
use crate::kube::{Labels, PodClass, label};
use crate::units::LabelValue;
use crate::world::settings::TieBreaks;
use crate::world::{ClaimId, ClusterView, PodId};

/// An identity, and its groups in the present Solve.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) details: Identity,
    /// Whether an audience is selected, as far as it was asked for.
    selects: Vec<Option<bool>>,
    /// The Solve that last opened a group, and its position; the same for inverse groups.
    group: (u64, usize),
    inverse: (u64, usize),
}

/// Pods that the same groups select: those of one namespace with equal labels.
#[derive(Clone, Debug)]
struct Audience {
    namespace: Arc<str>,
    labels: Labels,
    /// The Solve that the lists belong to.
    solve: u64,
    /// Groups that select the pods, among the first `seen`.
    selected: Vec<usize>,
    seen: usize,
    /// The same for inverse groups.
    inverse: Vec<usize>,
    inverse_seen: usize,
}

/// What a requirement set says of a key.
#[derive(Clone, Debug)]
struct KeyView {
    /// Domains that it admits.
    admitted: DomainSet,
    /// The domains that it names: admitted ones, or the excluded ones of a complement (as upstream reads them).
    named: SmallVec<[usize; 4]>,
    /// The only admitted domain.
    single: Option<usize>,
}

/// The groups of a pod at one level of relaxation.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    owned: Vec<usize>,
    inverse_owned: Vec<usize>,
    audience: usize,
}

/// A group in one of the two lists.
#[derive(Clone, Copy, Debug)]
struct GroupRef {
    inverse: bool,
    index: usize,
    /// The group selects the pod.
    own: bool,
}

/// What the groups demand of one pod at present, for any candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    hosts: SmallVec<[GroupRef; 4]>,
    choices: SmallVec<[(GroupRef, Choice); 4]>,
    /// Decides among equals where the tie-breaks are seeded.
    draw: Option<u64>,
    /// What the pod wants of the hostname.
    wanted_host: Option<Requirement>,
}

impl Demand {
    /// Whether a refusal of a candidate for want of instance types says nothing about later.
    pub(super) fn is_changeable(&self) -> bool {
        !self.choices.is_empty()
    }

    /// Whether a draw may decide.
    pub(super) fn is_by_chance(&self) -> bool {
        self.draw.is_some() && !self.choices.is_empty()
    }
}

/// The host of a candidate, a domain of the hostname key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) domain: usize,
    pub(super) value: LabelValue,
}

/// Why topology refused a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopologyRefusal {
    /// By a group of the hostname key that will refuse it for ever.
    HostForever,
    /// By anything else.
    ForNow,
}

/// All groups of a Solve.
#[derive(Clone, Debug)]
pub(super) struct Topology {
    pub(super) sources: Vec<Source>,
    pub(super) keys: Keys,
    pub(super) census: Census,
    pub(super) identities: Vec<Known>,
    pub(super) identity_ids: FxHashMap<Identity, usize>,
    audiences: Vec<Audience>,
    audience_ids: FxHashMap<(Arc<str>, Labels), usize>,
    views: FxHashMap<(SetId, usize), (usize, KeyView)>,
    restricted: FxHashMap<(SetId, usize, DomainSet, AllowUndefined), Option<SetId>>,
    streams: Option<Streams>,
    /// The number of the present Solve, and what it looks at.
    solve: u64,
    removed: Vec<ClaimId>,
    batch: Vec<PodId>,
    /// What it leaves out, once that was asked for.
    absent: Option<Absent>,
    groups: Vec<Group>,
    inverse: Vec<Group>,
    /// Lists of counts to be used again.
    spare: Vec<Vec<Option<i32>>>,
    /// Second of the present Solve, for draws.
    second: u32,
    /// Hosts that were known before it.
    hosts: usize,
}

impl Topology {
    /// Nothing runs, and no pod is known.
    pub(super) fn new(view: &ClusterView<'_>, sources: &[Source]) -> Topology {
        let seeded = view.settings.tie_breaks == TieBreaks::Seeded;
        Topology {
            keys: Keys::new(sources),
            sources: sources.to_vec(),
            census: Census::default(),
            identities: Vec::new(),
            identity_ids: FxHashMap::default(),
            audiences: Vec::new(),
            audience_ids: FxHashMap::default(),
            views: FxHashMap::default(),
            restricted: FxHashMap::default(),
            streams: seeded.then(|| Streams::new(view.settings.seed)),
            solve: 0,
            removed: Vec::new(),
            batch: Vec::new(),
            absent: None,
            groups: Vec::new(),
            inverse: Vec::new(),
            spare: Vec::new(),
            second: 0,
            hosts: 0,
        }
    }

    /// A Solve begins. Anti-affinity of pods that stay is looked at if it can matter; `exactly` also gets the order of
    /// such groups right, which errors show.
    pub(super) fn begin(
        &mut self,
        view: &ClusterView<'_>,
        removed: &[ClaimId],
        batch: &[PodId],
        exactly: bool,
    ) {
        self.solve += 1;
        self.second = (view.now.ms() / 1_000) as u32;
        self.hosts = self.keys.read(Keys::HOSTNAME).len();
        self.removed.clear();
        self.removed.extend_from_slice(removed);
        self.batch.clear();
        self.batch.extend_from_slice(batch);
        self.absent = None;
        if view.cluster.repelling.is_empty() {
            return;
        }
        self.count_nodes(view);
        let absent = self.absent(view);
        let batch: FxHashSet<PodId> = batch.iter().copied().collect();
        for repeller in self.census.repellers(view, &absent, &batch, exactly) {
            let known = &self.identities[repeller.identity].details;
            let key = self.keys.position(&self.sources, known.key);
            let counts = self.spare.pop().unwrap_or_default();
            let mut group = Group::new((repeller.identity, known), key, None, counts);
            let stay =
                self.census.fill_inverse(&mut self.keys, &absent, repeller.identity, &mut group);
            if !stay {
                self.spare.push(group.into_counts());
                continue;
            }
            let tolerations = &self.census.class_at(repeller.class).tolerations;
            let reachable = self.keys.reachable(key, tolerations, false);
            reachable.iter().for_each(|domain| group.register(*domain));
            self.identities[repeller.identity].inverse = (self.solve, self.inverse.len());
            self.inverse.push(group);
        }
        self.absent = Some(absent);
    }

    /// What the present Solve leaves out. To be given back.
    fn absent(&mut self, view: &ClusterView<'_>) -> Absent {
        self.absent.take().unwrap_or_else(|| {
            let removed = self.removed.iter().filter_map(|id| view.cluster.claims[*id].node);
            self.census.absent(view, removed, &self.batch)
        })
    }

    /// The Solve is over: nothing is left of it.
    pub(super) fn end(&mut self) {
        let groups = self.groups.drain(..).chain(self.inverse.drain(..));
        self.spare.extend(groups.map(Group::into_counts));
        self.keys.table(Keys::HOSTNAME).drop_nameless(self.hosts);
    }

    /// Entries of all that is remembered.
    pub(super) fn size(&self) -> usize {
        let lists = self.keys.domain_count() + self.census.class_count() + self.identities.len();
        lists + self.views.len() + self.restricted.len()
    }

    /// The domain of a host; a new one for one without a name.
    pub(super) fn host(&mut self, value: Option<LabelValue>, nameless: LabelValue) -> Host {
        let table = self.keys.table(Keys::HOSTNAME);
        match value {
            Some(value) => Host { domain: table.number(value), value },
            None => Host { domain: table.nameless(), value: nameless },
        }
    }

    /// The host of a claim that may come next: nothing is known of it yet.
    pub(super) fn next_host(&self, nameless: LabelValue) -> Host {
        Host { domain: self.keys.read(Keys::HOSTNAME).len(), value: nameless }
    }

    /// Registers pods for the present Solve: opens their groups or finds them (upstream `Update`).
    pub(super) fn open(&mut self, view: &ClusterView<'_>, recipe: &Recipe) -> Rules {
        let mut rules = Rules { audience: recipe.audience, ..Rules::default() };
        for wanted in &recipe.inverse {
            rules.inverse_owned.push(self.open_inverse(wanted));
        }
        for wanted in &recipe.owned {
            rules.owned.push(self.open_group(view, wanted));
        }
        rules.owned.sort_unstable();
        rules.owned.dedup();
        rules.inverse_owned.sort_unstable();
        rules.inverse_owned.dedup();
        rules
    }

    /// The group of an identity; a new one counts the pods that run, in the way of the pods that first ask for it.
    fn open_group(&mut self, view: &ClusterView<'_>, wanted: &Ingredient) -> usize {
        if wanted.tally.is_some() {
            self.count_nodes(view);
        }
        let known = &mut self.identities[wanted.identity];
        if known.group.0 == self.solve {
            return known.group.1;
        }
        known.group = (self.solve, self.groups.len());
        let key = self.keys.position(&self.sources, known.details.key);
        let counts = self.spare.pop().unwrap_or_default();
        let identity = (wanted.identity, &known.details);
        let mut group = Group::new(identity, key, wanted.tally, counts);
        group.min_domains = wanted.min_domains;
        if let Some(tally) = wanted.tally {
            let absent = self.absent(view);
            self.census.fill(view.symbols, &mut self.keys, &absent, tally, &mut group);
            self.absent = Some(absent);
        }
        wanted.reachable.iter().for_each(|domain| group.register(*domain));
        self.groups.push(group);
        self.groups.len() - 1
    }

    fn open_inverse(&mut self, wanted: &Ingredient) -> usize {
        let known = &mut self.identities[wanted.identity];
        if known.inverse.0 == self.solve {
            return known.inverse.1;
        }
        known.inverse = (self.solve, self.inverse.len());
        let key = self.keys.position(&self.sources, known.details.key);
        let counts = self.spare.pop().unwrap_or_default();
        let mut group = Group::new((wanted.identity, &known.details), key, None, counts);
        wanted.reachable.iter().for_each(|domain| group.register(*domain));
        self.inverse.push(group);
        self.inverse.len() - 1
    }

    pub(super) fn audience(&mut self, class: &PodClass) -> usize {
        let next = self.audiences.len();
        let same = (class.namespace.clone(), class.labels.clone());
        let place = *self.audience_ids.entry(same).or_insert(next);
        if place == next {
            self.audiences.push(Audience {
                namespace: class.namespace.clone(),
                labels: class.labels.clone(),
                solve: 0,
                selected: Vec::new(),
                seen: 0,
                inverse: Vec::new(),
                inverse_seen: 0,
            });
        }
        place
    }

    /// Brings an audience's lists up to date with groups that were opened since.
    fn refresh(&mut self, number: usize) {
        let audience = &mut self.audiences[number];
        if audience.solve != self.solve {
            audience.solve = self.solve;
            audience.selected.clear();
            audience.inverse.clear();
            (audience.seen, audience.inverse_seen) = (0, 0);
        }
        let Audience { namespace, labels, selected, seen, inverse, inverse_seen, .. } = audience;
        for (groups, list, seen) in
            [(&self.groups, selected, seen), (&self.inverse, inverse, inverse_seen)]
        {
            for (index, group) in groups.iter().enumerate().skip(*seen) {
                let Known { details, selects, .. } = &mut self.identities[group.identity];
                if selects.len() <= number {
                    selects.resize(number + 1, None);
                }
                if *selects[number].get_or_insert_with(|| details.selects(namespace, labels)) {
                    list.push(index);
                }
            }
            *seen = groups.len();
        }
    }

    /// What all groups demand of a pod at present. `strict` is what the pod demands of nodes without preferences and
    /// volumes; `attempt` numbers the tries of this Solve.
    pub(super) fn demand(
        &mut self,
        view: &ClusterView<'_>,
        rules: &Rules,
        strict: &Requirements,
        pod: u64,
        attempt: u32,
    ) -> Demand {
        self.refresh(rules.audience);
        let audience = &self.audiences[rules.audience];
        let owned = rules.owned.iter().map(|index| {
            let own = audience.selected.binary_search(index).is_ok();
            GroupRef { inverse: false, index: *index, own }
        });
        let repelling = audience.inverse.iter().map(|index| GroupRef {
            inverse: true,
            index: *index,
            own: true,
        });
        let mut demand = Demand {
            wanted_host: strict.get(label::HOSTNAME).cloned(),
            draw: self.streams.as_ref().map(|streams| {
                let salt = self.second ^ attempt.wrapping_mul(0x9e37_79b9);
                streams.mix(Purpose::SpreadTie, pod, salt)
            }),
            ..Demand::default()
        };
        for reference in owned.chain(repelling) {
            let list = if reference.inverse { &self.inverse } else { &self.groups };
            let group = &list[reference.index];
            if group.key == Keys::HOSTNAME {
                demand.hosts.push(reference);
                continue;
            }
            let wanted = strict.get(self.keys.symbol(group.key));
            let table = self.keys.table(group.key);
            table.sort(view.symbols);
            let choice = group.choice(table, reference.own, wanted);
            demand.choices.push((reference, choice));
        }
        demand
    }

    fn group_at(&self, reference: GroupRef) -> &Group {
        if reference.inverse {
            &self.inverse[reference.index]
        } else {
            &self.groups[reference.index]
        }
    }

    /// Tightens a candidate's requirements so that the pod may go there.
    pub(super) fn constrain(
        &mut self,
        sets: &mut RequirementSets,
        demand: &Demand,
        host: Host,
        set: SetId,
        allow: AllowUndefined,
    ) -> Result<SetId, TopologyRefusal> {
        for reference in &demand.hosts {
            let group = self.group_at(*reference);
            let wanted = demand.wanted_host.as_ref();
            let wanted_here = wanted.is_none_or(|wanted| wanted.has(host.value));
            let table = self.keys.read(group.key);
            let any_wanted = || group.any_occupied(table, wanted);
            if !group.admits_host(host.domain, reference.own, wanted_here, any_wanted) {
                return Err(match group.kind {
                    GroupKind::Affinity => TopologyRefusal::ForNow,
                    _ => TopologyRefusal::HostForever,
                });
            }
        }
        let mut allowed: SmallVec<[(usize, DomainSet); 4]> = SmallVec::new();
        for (reference, choice) in &demand.choices {
            let key = self.group_at(*reference).key;
            let domains = self.choose(sets, *reference, choice, set, demand.draw);
            if domains.is_empty() {
                return Err(TopologyRefusal::ForNow);
            }
            match allowed.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = known.intersection(&domains),
                None => allowed.push((key, domains)),
            }
        }
        let mut result = set;
        for (key, domains) in allowed {
            result =
                self.restrict(sets, result, key, domains, allow).ok_or(TopologyRefusal::ForNow)?;
        }
        Ok(result)
    }

    /// The domains that a group admits on a candidate.
    fn choose(
        &mut self,
        sets: &RequirementSets,
        reference: GroupRef,
        choice: &Choice,
        set: SetId,
        draw: Option<u64>,
    ) -> DomainSet {
        let key = self.group_at(reference).key;
        let here = &self.key_view(sets, set, key).admitted;
        let (Choice::Best(domains) | Choice::Any(domains) | Choice::First(domains)) = choice;
        let domains = domains.intersection(here);
        if matches!(choice, Choice::Any(_)) {
            return domains;
        }
        let group = self.group_at(reference);
        let count = |domain: usize| match choice {
            Choice::Best(_) => group.count(domain),
            _ => 0,
        };
        let Some(least) = domains.iter().map(count).min() else {
            return DomainSet::default();
        };
        let table = self.keys.read(key);
        let mut equals: SmallVec<[usize; 8]> =
            domains.iter().filter(|domain| count(*domain) == least).collect();
        equals.sort_unstable_by_key(|domain| table.rank(*domain));
        let index = draw.map_or(0, |draw| {
            (draw ^ (reference.index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                % equals.len() as u64
        });
        std::iter::once(equals[index as usize]).collect()
    }

    /// A set with one key restricted to some of the domains that it admits.
    fn restrict(
        &mut self,
        sets: &mut RequirementSets,
        set: SetId,
        key: usize,
        domains: DomainSet,
        allow: AllowUndefined,
    ) -> Option<SetId> {
        let memo = (set, key, domains, allow);
        if let Some(known) = self.restricted.get(&memo).filter(|_| !plain::is_on()) {
            return *known;
        }
        let (symbol, table) = (self.keys.symbol(key), self.keys.read(key));
        let values = memo.2.iter().filter_map(|domain| table.value(domain));
        let wanted = Requirement::new(Operator::In, values);
        let old = sets.get(set);
        let negative =
            |r: &Requirement| matches!(r.operator(), Operator::NotIn | Operator::DoesNotExist);
        let compatible = match old.get(symbol) {
            Some(had) => {
                let both = wanted.intersection(had);
                had.intersects(&both) || (negative(had) && negative(&both))
            }
            None => {
                negative(&wanted)
                    || (allow == AllowUndefined::WellKnown && label::is_well_known(symbol))
            }
        };
        let tightened = compatible.then(|| {
            let mut tightened = old.clone();
            tightened.add(symbol, wanted);
            tightened
        });
        let result = tightened.map(|tightened| sets.intern(tightened));
        self.restricted.insert(memo, result);
        result
    }

    fn key_view(&mut self, sets: &RequirementSets, set: SetId, key: usize) -> &KeyView {
        let symbol = self.keys.symbol(key);
        let table = self.keys.table(key);
        let size = table.len();
        let entry = self.views.entry((set, key));
        let make = |table: &mut DomainTable| {
            let requirement = sets.get(set).get(symbol);
            let named = requirement.map(|r| r.values()).unwrap_or_default();
            let named = named.iter().map(|value| table.number(*value)).collect();
            let single = requirement.and_then(|r| r.single()).map(|value| table.number(value));
            let admitted = table.admitted(requirement);
            (table.len(), KeyView { admitted, named, single })
        };
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        match entry {
            Occupied(known) => {
                let known = known.into_mut();
                // More domains are known by now.
                if known.0 != size || plain::is_on() {
                    *known = make(table);
                }
                &known.1
            }
            Vacant(place) => &place.insert(make(table)).1,
        }
    }

    /// A pod was placed: it counts in every group that selects it, and blocks domains for those that it repels.
    pub(super) fn record(
        &mut self,
        sets: &RequirementSets,
        rules: &Rules,
        taints: &[Taint],
        set: SetId,
        host: Host,
    ) {
        self.refresh(rules.audience);
        if self.groups.is_empty() && self.inverse.is_empty() {
            return;
        }
        let selected = std::mem::take(&mut self.audiences[rules.audience].selected);
        for index in &selected {
            let group = &self.groups[*index];
            let counts = |tally| self.census.count(tally).counts_node(taints, sets.get(set));
            if group.tally.is_none_or(counts) {
                let narrow = group.kind != GroupKind::AntiAffinity;
                self.record_in(sets, false, *index, set, host, narrow);
            }
        }
        self.audiences[rules.audience].selected = selected;
        for index in &rules.inverse_owned {
            self.record_in(sets, true, *index, set, host, false);
        }
    }

    /// Counts the pod in a group's domains: with `narrow` only where its domain is known for certain.
    fn record_in(
        &mut self,
        sets: &RequirementSets,
        inverse: bool,
        index: usize,
        set: SetId,
        host: Host,
        narrow: bool,
    ) {
        let key = if inverse { self.inverse[index].key } else { self.groups[index].key };
        let domains: SmallVec<[usize; 4]> = if key == Keys::HOSTNAME {
            SmallVec::from_slice(&[host.domain])
        } else {
            let view = self.key_view(sets, set, key);
            match narrow {
                true => view.single.into_iter().collect(),
                false => view.named.clone(),
            }
        };
        let group = if inverse { &mut self.inverse[index] } else { &mut self.groups[index] };
        domains.iter().for_each(|domain| group.record(*domain, 1));
    }

    /// Upstream's text for a pod that the groups let go nowhere on a candidate.
    pub(super) fn describe(
        &mut self,
        view: &ClusterView<'_>,
        sets: &RequirementSets,
        demand: &Demand,
        strict: &Requirements,
        set: SetId,
    ) -> String {
        let blocked = demand.choices.iter().find(|(reference, choice)| {
            self.choose(sets, *reference, choice, set, demand.draw).is_empty()
        });
        let reference = blocked.map(|(reference, _)| *reference).or(demand.hosts.first().copied());
        let Some(reference) = reference.or(demand.choices.first().map(|(r, _)| *r)) else {
            return String::new();
        };
        let group = self.group_at(reference);
        let (key, table) = (self.keys.symbol(group.key), self.keys.read(group.key));
        let symbols = view.symbols;
        let name = |domain| table.value(domain).map_or("", |v| symbols.text(v.symbol));
        let mut counts: Vec<(&str, i32)> = group.domains().map(|(d, n)| (name(d), n)).collect();
        counts.sort_unstable();
        let shown = counts.iter().take(25).map(|(name, count)| format!("{name}: {count}"));
        let mut counts_text = shown.collect::<Vec<_>>().join(", ");
        if counts.len() > 25 {
            counts_text += &format!(" and {} other(s)", counts.len() - 25);
        }
        let key_name = symbols.text(key);
        let say = |requirement: Option<&Requirement>| {
            let text = requirement.map_or_else(|| "Exists".to_owned(), |r| r.describe(symbols));
            format!("{key_name} {text}")
        };
        format!(
            "unsatisfiable topology constraint for {}, key={key_name} (counts = {counts_text}, \
             podDomains = {}, nodeDomains = {}",
            group.kind.name(),
            say(strict.get(key)),
            say(sets.get(set).get(key)),
        )
    }
}

pub(super) fn identity_of(
    list: &mut Vec<Known>,
    ids: &mut FxHashMap<Identity, usize>,
    details: Identity,
) -> usize {
    if let Some(known) = ids.get(&details) {
        return *known;
    }
    ids.insert(details.clone(), list.len());
    list.push(Known { details, selects: Vec::new(), group: (0, 0), inverse: (0, 0) });
    list.len() - 1
}

pub(super) fn term_identity(
    view: &ClusterView<'_>,
    kind: GroupKind,
    class: &PodClass,
    term: &PodAffinityTerm,
) -> Identity {
    Identity {
        kind,
        key: term.key,
        max_skew: i32::MAX,
        namespaces: term.namespaces.resolve(&class.namespace, &view.cluster.namespaces),
        selector: term.selector.clone(),
        filter: None,
    }
}
