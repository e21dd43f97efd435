//! Domains of topology keys as small numbers, and sets of them.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/topologydomaingroup.go`, and
//! `buildDomainGroups` of `topology.go`.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::plain;
use super::template::Source;
use crate::kube::label;
use crate::kube::requirement::{Operator, Requirement};
use crate::kube::taint::{self, Taint, Toleration};
use crate::units::{LabelValue, Symbol, Symbols};

/// A set of domains of one key. Equal sets are equal bit for bit: there are no empty words at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct DomainSet(SmallVec<[u64; 2]>);

impl DomainSet {
    pub(super) fn insert(&mut self, domain: usize) {
        if self.0.len() <= domain / 64 {
            self.0.resize(domain / 64 + 1, 0);
        }
        self.0[domain / 64] |= 1 << (domain % 64);
    }

    pub(super) fn intersection(&self, other: &DomainSet) -> DomainSet {
        let mut both = DomainSet(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect());
        while both.0.last() == Some(&0) {
            both.0.pop();
        }
        both
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    i * 64 + bit
                })
            })
        })
    }
}

impl FromIterator<usize> for DomainSet {
    fn from_iter<I: IntoIterator<Item = usize>>(iter: I) -> DomainSet {
        let mut set = DomainSet::default();
        iter.into_iter().for_each(|domain| set.insert(domain));
        set
    }
}

/// The numbering of one key's domains. Places that have no name yet, such as the host of a new claim, get numbers too.
#[derive(Clone, Debug, Default)]
pub(super) struct DomainTable {
    values: Vec<Option<LabelValue>>,
    ids: FxHashMap<Symbol, usize>,
    /// Position of each domain by name; recomputed when domains were added.
    ranks: Vec<u32>,
}

impl DomainTable {
    /// The number of a value, new or known.
    pub(super) fn number(&mut self, value: LabelValue) -> usize {
        let next = self.values.len();
        let number = *self.ids.entry(value.symbol).or_insert(next);
        if number == next {
            self.values.push(Some(value));
        }
        number
    }

    /// A number for a place without a name.
    pub(super) fn nameless(&mut self) -> usize {
        self.values.push(None);
        self.values.len() - 1
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Forgets the places without a name at the end, down to `length`.
    pub(super) fn drop_nameless(&mut self, length: usize) {
        while self.values.len() > length && self.values.last() == Some(&None) {
            self.values.pop();
        }
    }

    /// The value of a domain; `None` for one without a name.
    pub(super) fn value(&self, domain: usize) -> Option<LabelValue> {
        self.values.get(domain).copied().flatten()
    }

    /// Sorts the domains by name; to be called before [`DomainTable::rank`] when domains were added.
    pub(super) fn sort(&mut self, symbols: &Symbols) {
        if self.ranks.len() == self.values.len() {
            return;
        }
        let name = |i: &usize| self.values[*i].map(|value| symbols.text(value.symbol));
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_by_key(name);
        self.ranks = vec![0; order.len()];
        order.iter().enumerate().for_each(|(rank, i)| self.ranks[*i] = rank as u32);
    }

    /// Position of the domain by name.
    pub(super) fn rank(&self, domain: usize) -> u32 {
        self.ranks.get(domain).copied().unwrap_or(u32::MAX)
    }

    /// The domains that a requirement admits; all of them without one.
    pub(super) fn admitted(&self, requirement: Option<&Requirement>) -> DomainSet {
        let admits = |value: &Option<LabelValue>| match (value, requirement) {
            (Some(value), Some(requirement)) => requirement.has(*value),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        let domains = self.values.iter().enumerate().filter(|(_, value)| admits(value));
        domains.map(|(domain, _)| domain).collect()
    }
}

/// A topology key in use.
#[derive(Clone, Debug)]
struct Key {
    symbol: Symbol,
    table: DomainTable,
    /// Domains that new nodes may have, each with the taints of the NodePools behind it.
    universe: Vec<(usize, Vec<Vec<Taint>>)>,
}

/// The topology keys in use, with the numbers of their domains.
#[derive(Clone, Debug)]
pub(super) struct Keys(Vec<Key>);

impl Keys {
    /// Position of the hostname key: hosts are domains from the start.
    pub(super) const HOSTNAME: usize = 0;

    pub(super) fn new(sources: &[Source]) -> Keys {
        let mut keys = Keys(Vec::new());
        keys.position(sources, label::HOSTNAME);
        keys
    }

    /// The position of a key, new or known. A new one gets the domains that new nodes may have.
    pub(super) fn position(&mut self, sources: &[Source], symbol: Symbol) -> usize {
        if let Some(known) = self.0.iter().position(|key| key.symbol == symbol) {
            return known;
        }
        let mut table = DomainTable::default();
        let owned = |sets: Vec<&[Taint]>| sets.into_iter().map(<[Taint]>::to_vec).collect();
        let universe = universe(sources, symbol)
            .into_iter()
            .map(|(value, taints)| (table.number(value), owned(taints)))
            .collect();
        self.0.push(Key { symbol, table, universe });
        self.0.len() - 1
    }

    pub(super) fn symbol(&self, key: usize) -> Symbol {
        self.0[key].symbol
    }

    pub(super) fn table(&mut self, key: usize) -> &mut DomainTable {
        &mut self.0[key].table
    }

    /// The table of a key for reading.
    pub(super) fn read(&self, key: usize) -> &DomainTable {
        &self.0[key].table
    }

    /// The table of a key that has a position.
    pub(super) fn table_of(&mut self, symbol: Symbol) -> &mut DomainTable {
        let known = self.0.iter().position(|key| key.symbol == symbol);
        self.table(known.unwrap_or(Keys::HOSTNAME))
    }

    /// Domains that new nodes may have, as far as pods with these tolerations could use them; `all` of them.
    pub(super) fn reachable(
        &self,
        key: usize,
        tolerations: &[Toleration],
        all: bool,
    ) -> Vec<usize> {
        let open = |sets: &[Vec<Taint>]| all || is_reachable(sets, tolerations);
        let universe = self.0[key].universe.iter();
        universe.filter(|(_, sets)| open(sets)).map(|(domain, _)| *domain).collect()
    }

    /// Domains of all keys.
    pub(super) fn domain_count(&self) -> usize {
        self.0.iter().map(|key| key.table.len()).sum()
    }
}

/// The values of a key that new nodes may have, each with the taints of the NodePools behind it: an empty list of
/// taints makes the value open to all pods.
fn universe<'a>(sources: &'a [Source], key: Symbol) -> Vec<(LabelValue, Vec<&'a [Taint]>)> {
    let mut domains: Vec<(LabelValue, Vec<&[Taint]>)> = Vec::new();
    let mut places: FxHashMap<Symbol, usize> = FxHashMap::default();
    let mut insert = |value: LabelValue, taints: &'a [Taint]| {
        let place = *places.entry(value.symbol).or_insert(domains.len());
        match domains.get_mut(place) {
            None => domains.push((value, vec![taints])),
            Some((_, sets)) if taints.is_empty() => *sets = vec![taints],
            Some((_, sets)) if sets[0].is_empty() || sets.contains(&taints) => {}
            Some((_, sets)) => sets.push(taints),
        }
    };
    for source in sources {
        let taints = source.spec.template.taints.as_slice();
        let own = pool_requirement(source, key);
        let mut last: Option<&Requirement> = None;
        // Of a key that no type states, such as the host's name, one type says as much as all.
        let all = source.states(key) || plain::is_on();
        let telling = if all { source.types.len() } else { 1 };
        for instance_type in source.types.iter().take(telling) {
            let stated = instance_type.requirements.get(key);
            // Most types state the same values.
            if stated.is_some() && stated == last && !plain::is_on() {
                continue;
            }
            last = stated;
            let both = match (&own, stated) {
                (Some(own), Some(stated)) => stated.intersection(own),
                (Some(one), None) => one.clone(),
                (None, Some(one)) => one.clone(),
                (None, None) => continue,
            };
            both.values().iter().for_each(|value| insert(*value, taints));
        }
        if let Some(own) = own.filter(|own| own.operator() == Operator::In) {
            own.values().iter().for_each(|value| insert(*value, taints));
        }
    }
    domains
}

/// What a NodePool's requirements and labels say of a key.
fn pool_requirement(source: &Source, key: Symbol) -> Option<Requirement> {
    let spec = &source.spec.template;
    let label = spec.labels.get(key).map(Requirement::is);
    match (spec.requirements.get(key), label) {
        (Some(requirement), Some(label)) => Some(label.intersection(requirement)),
        (Some(requirement), None) => Some(requirement.clone()),
        (None, label) => label,
    }
}

/// True iff a pod with these tolerations may use one of the NodePools behind a domain.
fn is_reachable(sets: &[Vec<Taint>], tolerations: &[Toleration]) -> bool {
    sets.iter().any(|taints| taint::first_untolerated(taints, tolerations).is_none())
}
