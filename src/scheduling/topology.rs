//! Topology during one Solve: the groups of all pods, where they let a pod go, and what each placement adds.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/topology.go`.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::census::Census;
use super::domain::{self, DomainSet, DomainTable};
use super::requirement_set::{RequirementSets, SetId};
use super::template::Source;
use super::topology_group::{Choice, Group, GroupKind, Identity, NodeFilter};
use super::variant::Wishes;
use crate::engine::{Purpose, Streams};
use crate::kube::requirement::{AllowUndefined, Operator, Requirement, Requirements};
use crate::kube::taint::{Taint, Toleration};
use crate::kube::topology::{PodAffinityTerm, SpreadConstraint};
use crate::kube::{Labels, PodClass, label};
use crate::units::{LabelValue, Symbol};
use crate::world::settings::TieBreaks;
use crate::world::{ClusterView, PodId};

/// A topology key in use.
#[derive(Clone, Debug)]
struct Key<'a> {
    symbol: Symbol,
    table: DomainTable,
    universe: Vec<(LabelValue, Vec<&'a [Taint]>)>,
}

/// Pods that the same groups select: those of one namespace with equal labels.
#[derive(Clone, Debug)]
struct Audience {
    namespace: Arc<str>,
    labels: Labels,
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
pub(super) struct Topology<'a> {
    view: &'a ClusterView<'a>,
    sources: &'a [Source],
    census: Option<Census<'a>>,
    batch: FxHashSet<PodId>,
    keys: Vec<Key<'a>>,
    groups: Vec<Group>,
    inverse: Vec<Group>,
    identities: FxHashMap<Identity, usize>,
    inverse_identities: FxHashMap<Identity, usize>,
    audiences: Vec<Audience>,
    views: FxHashMap<(SetId, usize), (usize, KeyView)>,
    restricted: FxHashMap<(SetId, usize, DomainSet, AllowUndefined), Option<SetId>>,
    streams: Option<Streams>,
}

impl<'a> Topology<'a> {
    /// The topology before any pod of the batch is known. Anti-affinity of pods that stay is looked at if it can
    /// matter.
    pub(super) fn new(
        view: &'a ClusterView<'a>,
        sources: &'a [Source],
        batch: &[PodId],
    ) -> Topology<'a> {
        let seeded = view.settings.tie_breaks == TieBreaks::Seeded;
        let mut topology = Topology {
            view,
            sources,
            census: None,
            batch: batch.iter().copied().collect(),
            keys: Vec::new(),
            groups: Vec::new(),
            inverse: Vec::new(),
            identities: FxHashMap::default(),
            inverse_identities: FxHashMap::default(),
            audiences: Vec::new(),
            views: FxHashMap::default(),
            restricted: FxHashMap::default(),
            streams: seeded.then(|| Streams::new(view.settings.seed)),
        };
        // Hosts are domains from the start.
        topology.key(label::HOSTNAME);
        topology.add_inverse_of_running();
        topology
    }

    fn census(&mut self) -> &Census<'a> {
        let (view, batch) = (self.view, &self.batch);
        self.census.get_or_insert_with(|| Census::take(view, batch))
    }

    fn add_inverse_of_running(&mut self) {
        if self.view.cluster.repelling.is_empty() {
            return;
        }
        let repelling: Vec<(&Arc<PodClass>, &Labels)> = {
            let census = self.census();
            let entries = census.anti_affine.iter();
            entries.map(|(class, node)| (*class, census.nodes[*node].labels)).collect()
        };
        for (class, labels) in repelling {
            for term in &class.pod_anti_affinity.required {
                let group = self.inverse_group(class, term, &class.tolerations);
                if let Some(value) = labels.get(term.key) {
                    let key = self.inverse[group].key;
                    let domain = self.keys[key].table.number(value);
                    self.inverse[group].record(domain, 1);
                }
            }
        }
    }

    /// The position of a key, new or known. A new one gets the domains that new nodes may have.
    fn key(&mut self, symbol: Symbol) -> usize {
        if let Some(known) = self.keys.iter().position(|key| key.symbol == symbol) {
            return known;
        }
        let mut table = DomainTable::default();
        let universe = domain::universe(self.sources, symbol);
        universe.iter().for_each(|(value, _)| {
            table.number(*value);
        });
        self.keys.push(Key { symbol, table, universe });
        self.keys.len() - 1
    }

    /// The domain of a host; `None` for one without a name.
    pub(super) fn host(&mut self, value: Option<LabelValue>, nameless: LabelValue) -> Host {
        let key = self.key(label::HOSTNAME);
        let table = &mut self.keys[key].table;
        match value {
            Some(value) => Host { domain: table.number(value), value },
            None => Host { domain: table.nameless(), value: nameless },
        }
    }

    /// The host of a claim that may come next: nothing is known of it yet.
    pub(super) fn next_host(&self, nameless: LabelValue) -> Host {
        let hosts = self.keys.iter().find(|key| key.symbol == label::HOSTNAME);
        Host { domain: hosts.map_or(0, |key| key.table.len()), value: nameless }
    }

    /// Registers a pod with its wishes: creates or finds its groups (upstream `Update`).
    pub(super) fn rules(&mut self, class: &PodClass, wishes: &Wishes, ignore_soft: bool) -> Rules {
        let mut rules = Rules { audience: self.audience(class), ..Rules::default() };
        let required = &class.pod_anti_affinity.required;
        for term in required {
            rules.inverse_owned.push(self.inverse_group(class, term, &wishes.tolerations));
        }
        let filter_terms = filter_terms(wishes);
        for constraint in wishes.spread.iter().filter(|c| c.hard || !ignore_soft) {
            rules.owned.push(self.spread_group(class, constraint, &filter_terms, wishes));
        }
        let affinity = (GroupKind::Affinity, &class.pod_affinity.required, &wishes.pod_affinity);
        let anti = (GroupKind::AntiAffinity, required, &wishes.pod_anti_affinity);
        for (kind, required, preferred) in [affinity, anti] {
            let preferred = preferred.iter().map(|(_, term)| term).filter(|_| !ignore_soft);
            for term in required.iter().chain(preferred) {
                let identity = self.term_identity(kind, class, term);
                rules.owned.push(self.group(identity, None, None, &wishes.tolerations));
            }
        }
        rules.owned.sort_unstable();
        rules.owned.dedup();
        rules.inverse_owned.sort_unstable();
        rules.inverse_owned.dedup();
        rules
    }

    fn term_identity(&self, kind: GroupKind, class: &PodClass, term: &PodAffinityTerm) -> Identity {
        let known = &self.view.cluster.namespaces;
        Identity {
            kind,
            key: term.key,
            max_skew: i32::MAX,
            namespaces: term.namespaces.resolve(&class.namespace, known),
            selector: term.selector.clone(),
            filter: None,
        }
    }

    fn spread_group(
        &mut self,
        class: &PodClass,
        constraint: &SpreadConstraint,
        terms: &[Requirements],
        wishes: &Wishes,
    ) -> usize {
        let filter = NodeFilter {
            terms: terms.to_vec(),
            tolerations: wishes.tolerations.clone(),
            affinity: constraint.node_affinity,
            taints: constraint.node_taints,
        };
        let identity = Identity {
            kind: GroupKind::Spread,
            key: constraint.key,
            max_skew: constraint.max_skew,
            namespaces: vec![class.namespace.clone()],
            selector: constraint.selector.clone(),
            filter: Some(filter.identity()),
        };
        self.group(identity, Some(filter), constraint.min_domains, &wishes.tolerations)
    }

    /// The group of an identity; a new one counts the pods that run.
    fn group(
        &mut self,
        identity: Identity,
        filter: Option<NodeFilter>,
        min_domains: Option<i32>,
        tolerations: &[Toleration],
    ) -> usize {
        if let Some(known) = self.identities.get(&identity) {
            return *known;
        }
        let mut group = self.empty_group(&identity, filter, tolerations);
        group.min_domains = min_domains;
        self.count_running(&mut group);
        self.groups.push(group);
        self.identities.insert(identity, self.groups.len() - 1);
        self.groups.len() - 1
    }

    fn inverse_group(
        &mut self,
        class: &PodClass,
        term: &PodAffinityTerm,
        tolerations: &[Toleration],
    ) -> usize {
        let identity = self.term_identity(GroupKind::AntiAffinity, class, term);
        if let Some(known) = self.inverse_identities.get(&identity) {
            return *known;
        }
        let group = self.empty_group(&identity, None, tolerations);
        self.inverse.push(group);
        self.inverse_identities.insert(identity, self.inverse.len() - 1);
        self.inverse.len() - 1
    }

    /// A group that knows the domains that new nodes may have: unless taints are ignored, those that the first pod
    /// could reach. Groups of affinity terms have no policy, which counts as honouring taints.
    fn empty_group(
        &mut self,
        identity: &Identity,
        filter: Option<NodeFilter>,
        tolerations: &[Toleration],
    ) -> Group {
        use crate::kube::topology::InclusionPolicy::Ignore;
        let all = filter.as_ref().is_some_and(|filter| filter.taints == Ignore);
        let key = self.key(identity.key);
        let mut group = Group::new(identity.clone(), key, filter);
        let Key { table, universe, .. } = &mut self.keys[key];
        for (value, taints) in universe {
            if all || domain::is_reachable(taints, tolerations) {
                group.register(table.number(*value));
            }
        }
        group
    }

    fn count_running(&mut self, group: &mut Group) {
        self.census();
        let Some(census) = &self.census else {
            return;
        };
        let key = &mut self.keys[group.key];
        let present = census.nodes.iter().filter(|node| node.active && node.counts_for(group));
        let present: Vec<LabelValue> =
            present.filter_map(|node| node.state_labels.get(key.symbol)).collect();
        present.into_iter().for_each(|value| group.register(key.table.number(value)));
        let counted: Vec<(Symbol, i32)> = census
            .counted(group)
            .filter_map(|(node, count)| Some((node.domain(key.symbol)?, count)))
            .collect();
        for (domain, count) in counted {
            let value = self.view.symbols.value(domain);
            group.record(key.table.number(value), count);
        }
    }

    fn audience(&mut self, class: &PodClass) -> usize {
        let same = |a: &Audience| a.namespace == class.namespace && a.labels == class.labels;
        if let Some(known) = self.audiences.iter().position(same) {
            return known;
        }
        self.audiences.push(Audience {
            namespace: class.namespace.clone(),
            labels: class.labels.clone(),
            selected: Vec::new(),
            seen: 0,
            inverse: Vec::new(),
            inverse_seen: 0,
        });
        self.audiences.len() - 1
    }

    /// Brings an audience's lists up to date with groups that were added since.
    fn refresh(&mut self, audience: usize) {
        let Audience { namespace, labels, selected, seen, inverse, inverse_seen } =
            &mut self.audiences[audience];
        for (groups, list, seen) in
            [(&self.groups, selected, seen), (&self.inverse, inverse, inverse_seen)]
        {
            let new = groups.iter().enumerate().skip(*seen);
            let new = new.filter(|(_, group)| group.selects(namespace, labels));
            list.extend(new.map(|(index, _)| index));
            *seen = groups.len();
        }
    }

    /// What all groups demand of a pod at present. `strict` is what the pod demands of nodes without preferences and
    /// volumes; `attempt` numbers the tries of this Solve.
    pub(super) fn demand(
        &mut self,
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
                let second = (self.view.now.ms() / 1_000) as u32;
                streams.mix(Purpose::SpreadTie, pod, second ^ attempt.wrapping_mul(0x9e37_79b9))
            }),
            ..Demand::default()
        };
        for reference in owned.chain(repelling) {
            let list = if reference.inverse { &self.inverse } else { &self.groups };
            let group = &list[reference.index];
            let key = &mut self.keys[group.key];
            if key.symbol == label::HOSTNAME {
                demand.hosts.push(reference);
                continue;
            }
            key.table.sort(self.view.symbols);
            let choice = group.choice(&key.table, reference.own, strict.get(key.symbol));
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
            let table = &self.keys[group.key].table;
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
        let table = &self.keys[key].table;
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
        if let Some(known) = self.restricted.get(&memo) {
            return *known;
        }
        let (symbol, table) = (self.keys[key].symbol, &self.keys[key].table);
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
        let Key { symbol, table, .. } = &mut self.keys[key];
        let size = table.len();
        let entry = self.views.entry((set, key));
        let make = |table: &mut DomainTable| {
            let requirement = sets.get(set).get(*symbol);
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
                if known.0 != size {
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
            if group.counts_node(taints, sets.get(set)) {
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
        let domains: SmallVec<[usize; 4]> = if self.keys[key].symbol == label::HOSTNAME {
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
        let key = &self.keys[group.key];
        let symbols = self.view.symbols;
        let name = |domain| key.table.value(domain).map_or("", |v| symbols.text(v.symbol));
        let mut counts: Vec<(&str, i32)> = group.domains().map(|(d, n)| (name(d), n)).collect();
        counts.sort_unstable();
        let shown = counts.iter().take(25).map(|(name, count)| format!("{name}: {count}"));
        let mut counts_text = shown.collect::<Vec<_>>().join(", ");
        if counts.len() > 25 {
            counts_text += &format!(" and {} other(s)", counts.len() - 25);
        }
        let key_name = symbols.text(key.symbol);
        let say = |requirement: Option<&Requirement>| {
            let text = requirement.map_or_else(|| "Exists".to_owned(), |r| r.describe(symbols));
            format!("{key_name} {text}")
        };
        format!(
            "unsatisfiable topology constraint for {}, key={key_name} (counts = {counts_text}, \
             podDomains = {}, nodeDomains = {}",
            group.kind.name(),
            say(strict.get(key.symbol)),
            say(sets.get(set).get(key.symbol)),
        )
    }
}

/// Node selector and each required term, for the node filters of a pod's spread constraints.
fn filter_terms(wishes: &Wishes) -> Vec<Requirements> {
    let affinity = &wishes.node_affinity;
    if affinity.required.is_empty() {
        return vec![affinity.selector.clone()];
    }
    let terms = affinity.required.iter().map(|term| {
        let mut both = affinity.selector.clone();
        both.add_all(term);
        both
    });
    terms.collect()
}
