//! The requirement algebra: what label values a NodePool, a pod, an instance type or an offering admits.
//!
//! Upstream: karpenter v1.14.1 `pkg/scheduling/requirement.go`, `pkg/scheduling/requirements.go`.

use smallvec::SmallVec;

use super::label::{self, Labels};
use crate::units::{LabelValue, Symbol, Symbols};

/// A label selector's operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The value is one of a set.
    In,
    /// The label is absent or its value is none of a set.
    NotIn,
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The value is an integer above a bound.
    Gt,
    /// The value is an integer below a bound.
    Lt,
    /// The value is an integer of at least a bound.
    Gte,
    /// The value is an integer of at most a bound.
    Lte,
}

impl Operator {
    /// All operators, in the order of the documentation.
    pub const ALL: [Operator; 8] = [
        Operator::In,
        Operator::NotIn,
        Operator::Exists,
        Operator::DoesNotExist,
        Operator::Gt,
        Operator::Lt,
        Operator::Gte,
        Operator::Lte,
    ];

    /// The operator's name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::Gt => "Gt",
            Operator::Lt => "Lt",
            Operator::Gte => "Gte",
            Operator::Lte => "Lte",
        }
    }

    /// The operator of a manifest's name.
    pub fn parse(name: &str) -> Option<Operator> {
        Operator::ALL.into_iter().find(|operator| operator.name() == name)
    }
}

/// What one key admits.
///
/// Without `complement` exactly `values` (and no bounds); with it everything but `values` and, if a bound is set, only
/// integers within the bounds. Nothing admitted and DoesNotExist are the same object, as upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    complement: bool,
    /// Ascending by symbol, distinct.
    values: SmallVec<[LabelValue; 2]>,
    gte: Option<i64>,
    lte: Option<i64>,
    min_values: Option<u32>,
}

impl Requirement {
    /// The requirement of an operator with its values. Unparsable bounds count as 0, as upstream; validation prevents
    /// them.
    pub fn new(operator: Operator, values: impl IntoIterator<Item = LabelValue>) -> Requirement {
        let mut list: SmallVec<[LabelValue; 2]> = values.into_iter().collect();
        let bound = list.first().and_then(|v| v.integer).unwrap_or(0);
        let (complement, gte, lte) = match operator {
            Operator::In => (false, None, None),
            Operator::NotIn => (true, None, None),
            Operator::Exists => (true, None, None),
            Operator::DoesNotExist => (false, None, None),
            Operator::Gt => match bound.checked_add(1) {
                Some(gte) => (true, Some(gte), None),
                None => (false, None, None),
            },
            Operator::Lt => (true, None, Some(bound.saturating_sub(1))),
            Operator::Gte => (true, Some(bound), None),
            Operator::Lte => (true, None, Some(bound)),
        };
        if !matches!(operator, Operator::In | Operator::NotIn) {
            list.clear();
        }
        list.sort_unstable();
        list.dedup();
        Requirement { complement, values: list, gte, lte, min_values: None }
    }

    /// `In [value]`.
    pub fn is(value: LabelValue) -> Requirement {
        Requirement::new(Operator::In, [value])
    }

    /// `Exists`: any value.
    pub fn exists() -> Requirement {
        Requirement::new(Operator::Exists, [])
    }

    /// `DoesNotExist`: no value.
    pub fn does_not_exist() -> Requirement {
        Requirement::new(Operator::DoesNotExist, [])
    }

    /// The same requirement that must keep at least `min_values` distinct values.
    pub fn with_min_values(mut self, min_values: Option<u32>) -> Requirement {
        self.min_values = min_values;
        self
    }

    /// The flexibility minimum.
    pub const fn min_values(&self) -> Option<u32> {
        self.min_values
    }

    /// The stored values: the admitted ones of a concrete set, the *excluded* ones of a complement.
    pub fn values(&self) -> &[LabelValue] {
        &self.values
    }

    /// True when the stored values are exclusions.
    pub const fn is_complement(&self) -> bool {
        self.complement
    }

    /// Lower and upper bound, inclusive.
    pub const fn bounds(&self) -> (Option<i64>, Option<i64>) {
        (self.gte, self.lte)
    }

    /// The operator that describes the requirement (bounds count as Exists, as upstream).
    pub fn operator(&self) -> Operator {
        match (self.complement, self.values.is_empty()) {
            (true, false) => Operator::NotIn,
            (true, true) => Operator::Exists,
            (false, false) => Operator::In,
            (false, true) => Operator::DoesNotExist,
        }
    }

    /// True iff `value` is admitted.
    pub fn has(&self, value: LabelValue) -> bool {
        self.values.contains(&value) != self.complement && within(value, self.gte, self.lte)
    }

    /// The only admitted value, if there is exactly one.
    pub fn single(&self) -> Option<LabelValue> {
        (!self.complement && self.values.len() == 1).then(|| self.values[0])
    }

    /// What both admit.
    pub fn intersection(&self, other: &Requirement) -> Requirement {
        let complement = self.complement && other.complement;
        let (gte, lte) = (self.gte.max(other.gte), least(self.lte, other.lte));
        let min_values = self.min_values.max(other.min_values);
        if gte.zip(lte).is_some_and(|(gte, lte)| gte > lte) {
            return Requirement::does_not_exist().with_min_values(min_values);
        }
        let mut values: SmallVec<[LabelValue; 2]> = match (self.complement, other.complement) {
            (true, true) => {
                let mut union: SmallVec<_> =
                    self.values.iter().chain(&other.values).copied().collect();
                union.sort_unstable();
                union.dedup();
                union
            }
            (true, false) => difference(&other.values, &self.values),
            (false, true) => difference(&self.values, &other.values),
            (false, false) => {
                let both = |v: &&LabelValue| other.values.binary_search(v).is_ok();
                self.values.iter().filter(both).copied().collect()
            }
        };
        values.retain(|value| within(*value, gte, lte));
        let (gte, lte) = if complement { (gte, lte) } else { (None, None) };
        Requirement { complement, values, gte, lte, min_values }
    }

    /// True iff both admit some value. Two complements always do, even when the exclusions cover the bounds (as
    /// upstream).
    pub fn intersects(&self, other: &Requirement) -> bool {
        let (gte, lte) = (self.gte.max(other.gte), least(self.lte, other.lte));
        if gte.zip(lte).is_some_and(|(gte, lte)| gte > lte) {
            return false;
        }
        match (self.complement, other.complement) {
            (true, true) => true,
            (true, false) => other
                .values
                .iter()
                .any(|v| self.values.binary_search(v).is_err() && within(*v, gte, lte)),
            (false, _) => self.values.iter().any(|v| {
                (other.values.binary_search(v).is_ok() != other.complement) && within(*v, gte, lte)
            }),
        }
    }

    /// NotIn or DoesNotExist: satisfied by the absence of the label.
    pub fn is_negative(&self) -> bool {
        matches!(self.operator(), Operator::NotIn | Operator::DoesNotExist)
    }

    /// `Operator [v1 v2 ...]` as upstream prints a requirement without its key; values ascending by text, at most five.
    pub fn describe(&self, symbols: &Symbols) -> String {
        let mut text = self.operator().name().to_owned();
        if !self.values.is_empty() {
            let mut values: Vec<&str> =
                self.values.iter().map(|v| symbols.text(v.symbol)).collect();
            values.sort_unstable();
            let shown = values[..values.len().min(5)].join(" ");
            text += &match values.len() {
                0..=5 => format!(" [{shown}]"),
                more => format!(" [{shown} and {} others]", more - 5),
            };
        }
        if let Some(gte) = self.gte {
            text += &format!(" >={gte}");
        }
        if let Some(lte) = self.lte {
            text += &format!(" <={lte}");
        }
        if let Some(min_values) = self.min_values {
            text += &format!(" minValues {min_values}");
        }
        text
    }
}

fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn within(value: LabelValue, gte: Option<i64>, lte: Option<i64>) -> bool {
    if gte.is_none() && lte.is_none() {
        return true;
    }
    value.integer.is_some_and(|n| gte.is_none_or(|g| n >= g) && lte.is_none_or(|l| n <= l))
}

fn difference(from: &[LabelValue], without: &[LabelValue]) -> SmallVec<[LabelValue; 2]> {
    from.iter().filter(|v| without.binary_search(v).is_err()).copied().collect()
}

/// Requirements by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Requirements(SmallVec<[(Symbol, Requirement); 4]>);

/// Which keys of the wanting side may be undefined on the having side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllowUndefined {
    /// None: an existing node must carry the label.
    Nothing,
    /// The well-known labels: the cloud will define them.
    WellKnown,
}

/// Why two requirement sets do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The having side does not define the key.
    Undefined(Symbol),
    /// The keys whose values do not intersect.
    Disjoint(Vec<Symbol>),
}

impl Requirements {
    /// Labels as `In [value]` each.
    pub fn from_labels(labels: &Labels) -> Requirements {
        labels.iter().map(|(key, value)| (key, Requirement::is(value))).collect()
    }

    /// Intersects the entry of `key` with `requirement`.
    pub fn add(&mut self, key: Symbol, requirement: Requirement) {
        match self.0.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(i) => self.0[i].1 = requirement.intersection(&self.0[i].1),
            Err(i) => self.0.insert(i, (key, requirement)),
        }
    }

    /// Gives room back that no requirement takes.
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Adds every entry of `other`.
    pub fn add_all(&mut self, other: &Requirements) {
        for (key, requirement) in &other.0 {
            self.add(*key, requirement.clone());
        }
    }

    /// Replaces the entry of `key`.
    pub fn replace(&mut self, key: Symbol, requirement: Requirement) {
        match self.0.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(i) => self.0[i].1 = requirement,
            Err(i) => self.0.insert(i, (key, requirement)),
        }
    }

    /// Sets the flexibility minimum of `key`, if the key is there.
    pub fn set_min_values(&mut self, key: Symbol, min_values: u32) {
        if let Ok(i) = self.0.binary_search_by_key(&key, |(k, _)| *k) {
            self.0[i].1.min_values = Some(min_values);
        }
    }

    /// Drops the entry of `key`.
    pub fn remove(&mut self, key: Symbol) {
        if let Ok(i) = self.0.binary_search_by_key(&key, |(k, _)| *k) {
            self.0.remove(i);
        }
    }

    /// The entry of `key`; an absent one admits everything (Exists upstream).
    pub fn get(&self, key: Symbol) -> Option<&Requirement> {
        self.0.binary_search_by_key(&key, |(k, _)| *k).ok().map(|i| &self.0[i].1)
    }

    /// True iff `value` is admitted for `key`, an absent key admitting everything.
    pub fn admits(&self, key: Symbol, value: LabelValue) -> bool {
        self.get(key).is_none_or(|requirement| requirement.has(value))
    }

    /// All entries; the order is that of the symbols and decides nothing.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &Requirement)> {
        self.0.iter().map(|(key, requirement)| (*key, requirement))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True iff any entry has a flexibility minimum.
    pub fn has_min_values(&self) -> bool {
        self.0.iter().any(|(_, requirement)| requirement.min_values.is_some())
    }

    /// True iff every key of both sides has common values; `NotIn` and `DoesNotExist` on both sides go together.
    pub fn intersects(&self, want: &Requirements) -> bool {
        self.disjoint_keys(want).next().is_none()
    }

    fn disjoint_keys<'a>(&'a self, want: &'a Requirements) -> impl Iterator<Item = Symbol> + 'a {
        // Both lists ascend by key, so one forward walk of the longer one finds every common key.
        let mut have = self.0.iter().peekable();
        want.0.iter().filter_map(move |(key, wanted)| {
            while have.peek().is_some_and(|(k, _)| k < key) {
                have.next();
            }
            let (_, had) = have.peek().filter(|(k, _)| k == key)?;
            let both_negative = had.is_negative() && wanted.is_negative();
            (!both_negative && !had.intersects(wanted)).then_some(*key)
        })
    }

    /// True iff `want` can be satisfied on this side (upstream `Compatible`): every wanted key is defined here,
    /// negative, or may be undefined, and all common keys intersect.
    pub fn compatible(&self, want: &Requirements, allow: AllowUndefined) -> bool {
        self.undefined_key(want, allow).is_none() && self.intersects(want)
    }

    fn undefined_key(&self, want: &Requirements, allow: AllowUndefined) -> Option<Symbol> {
        let undefined = |(key, wanted): &&(Symbol, Requirement)| {
            let may_be_undefined = allow == AllowUndefined::WellKnown && label::is_well_known(*key);
            !may_be_undefined && !wanted.is_negative() && self.get(*key).is_none()
        };
        want.0.iter().find(undefined).map(|(key, _)| *key)
    }

    /// True iff labels satisfy this side: [`Requirements::compatible`] of the labels' own requirements, none of which
    /// may be undefined.
    pub fn hold_for(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(key, wanted)| match labels.get(*key) {
            Some(value) => wanted.has(value),
            None => wanted.is_negative(),
        })
    }

    /// What [`Requirements::compatible`] fails on first.
    pub fn conflict(&self, want: &Requirements, allow: AllowUndefined) -> Option<Conflict> {
        if let Some(key) = self.undefined_key(want, allow) {
            return Some(Conflict::Undefined(key));
        }
        let disjoint: Vec<Symbol> = self.disjoint_keys(want).collect();
        (!disjoint.is_empty()).then_some(Conflict::Disjoint(disjoint))
    }

    /// The conflict as upstream words it.
    pub fn describe_conflict(
        &self,
        want: &Requirements,
        conflict: &Conflict,
        symbols: &Symbols,
    ) -> String {
        match conflict {
            Conflict::Undefined(key) => {
                format!("label \"{}\" does not have known values", symbols.text(*key))
            }
            Conflict::Disjoint(keys) => {
                let mut texts: Vec<String> = keys
                    .iter()
                    .filter_map(|key| {
                        let (have, want) = (self.get(*key)?, want.get(*key)?);
                        let (have, want) = (have.describe(symbols), want.describe(symbols));
                        let key = symbols.text(*key);
                        Some(format!("key {key}, {key} {want} not in {key} {have}"))
                    })
                    .collect();
                texts.sort_unstable();
                texts.join("; ")
            }
        }
    }
}

impl FromIterator<(Symbol, Requirement)> for Requirements {
    fn from_iter<I: IntoIterator<Item = (Symbol, Requirement)>>(iter: I) -> Requirements {
        let mut requirements = Requirements::default();
        iter.into_iter().for_each(|(key, requirement)| requirements.add(key, requirement));
        requirements
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operator::*;

    fn requirement(symbols: &mut Symbols, operator: Operator, values: &[&str]) -> Requirement {
        let values: Vec<LabelValue> = values.iter().map(|v| symbols.intern_value(v)).collect();
        Requirement::new(operator, values)
    }

    #[test]
    fn labels_satisfy_what_their_requirements_are_compatible_with() {
        let s = &mut label::vocabulary();
        let key = s.intern("key");
        let values = ["1", "2", "a"].map(|value| s.intern_value(value));
        let mut wanted: Vec<Requirement> = [In, NotIn, Exists, DoesNotExist]
            .into_iter()
            .flat_map(|operator| [0, 1, 2].map(|count| (operator, &values[..count])))
            .filter(|(operator, values)| matches!(operator, In | NotIn) != values.is_empty())
            .map(|(operator, values)| Requirement::new(operator, values.iter().copied()))
            .collect();
        let mut above = requirement(s, Exists, &[]);
        above.gte = Some(2);
        wanted.push(above);
        for wanted in wanted {
            let want: Requirements = [(key, wanted)].into_iter().collect();
            for label in [None, Some(values[0]), Some(values[1]), Some(values[2])] {
                let labels: Labels = label.map(|value| (key, value)).into_iter().collect();
                let have = Requirements::from_labels(&labels);
                let compatible = have.compatible(&want, AllowUndefined::Nothing);
                assert_eq!(want.hold_for(&labels), compatible, "{want:?} {label:?}");
            }
        }
    }

    /// The table of `provisioning.md` 15.2, which mirrors karpenter v1.14.1 `pkg/scheduling/requirement_test.go`.
    #[test]
    fn intersections_match_upstreams_table() {
        let s = &mut label::vocabulary();
        let mut r = |operator, values: &[&str]| requirement(s, operator, values);
        let gte = |mut r: Requirement, gte, lte| {
            (r.gte, r.lte) = (gte, lte);
            r
        };
        let cases = [
            (r(Exists, &[]), r(In, &["A"]), r(In, &["A"])),
            (r(In, &["A"]), r(In, &["B"]), r(DoesNotExist, &[])),
            (r(In, &["A", "B"]), r(NotIn, &["A"]), r(In, &["B"])),
            (r(NotIn, &["A"]), r(NotIn, &["1", "2"]), r(NotIn, &["1", "2", "A"])),
            (r(NotIn, &["1", "2"]), r(Gt, &["1"]), gte(r(NotIn, &["2"]), Some(2), None)),
            (r(NotIn, &["1", "2"]), r(Lt, &["9"]), gte(r(NotIn, &["1", "2"]), None, Some(8))),
            (r(NotIn, &["1", "2"]), r(Lt, &["1"]), gte(r(Exists, &[]), None, Some(0))),
            (r(In, &["1", "9"]), r(Gt, &["1"]), r(In, &["9"])),
            (r(In, &["A"]), r(Gt, &["1"]), r(DoesNotExist, &[])),
            (r(Gt, &["1"]), r(Lt, &["9"]), gte(r(Exists, &[]), Some(2), Some(8))),
            (r(Gt, &["9"]), r(Lt, &["9"]), r(DoesNotExist, &[])),
            (r(Gte, &["3"]), r(Gt, &["1"]), gte(r(Exists, &[]), Some(3), None)),
        ];
        for (x, y, expected) in cases {
            assert_eq!(x.intersection(&y), expected, "{x:?} with {y:?}");
            assert_eq!(y.intersection(&x), expected, "{y:?} with {x:?}");
            assert_eq!(x.intersects(&y), expected.operator() != DoesNotExist, "{x:?} with {y:?}");
        }
    }

    /// The table of `provisioning.md` 15.3.
    #[test]
    fn compatibility_matches_upstreams_table() {
        let s = &mut label::vocabulary();
        let team = s.intern("team");
        let zone = label::ZONE;
        let set = |key, r: Requirement| Requirements::from_iter([(key, r)]);
        let mut r = |operator, values: &[&str]| requirement(s, operator, values);
        let none = Requirements::default();
        use AllowUndefined::*;
        let cases = [
            (none.clone(), set(zone, r(In, &["z1"])), WellKnown, true),
            (none.clone(), set(zone, r(In, &["z1"])), Nothing, false),
            (none.clone(), set(team, r(In, &["a"])), WellKnown, false),
            (none.clone(), set(team, r(NotIn, &["a"])), WellKnown, true),
            (none.clone(), set(team, r(DoesNotExist, &[])), WellKnown, true),
            (none, set(team, r(Exists, &[])), WellKnown, false),
            (set(team, r(In, &["a"])), set(team, r(DoesNotExist, &[])), WellKnown, false),
            (set(team, r(DoesNotExist, &[])), set(team, r(NotIn, &["a"])), WellKnown, true),
            (set(team, r(NotIn, &["a"])), set(team, r(DoesNotExist, &[])), WellKnown, true),
            (set(team, r(Exists, &[])), set(team, r(DoesNotExist, &[])), WellKnown, false),
        ];
        for (have, want, allow, expected) in cases {
            assert_eq!(have.compatible(&want, allow), expected, "{have:?} {want:?} {allow:?}");
        }
    }

    const VALUES: [&str; 7] = ["0", "1", "2", "5", "9", "a", "b"];

    fn any_requirement()
    -> impl proptest::strategy::Strategy<Value = (usize, Vec<usize>, Option<u32>)> {
        let values = proptest::collection::vec(0..VALUES.len(), 1..4);
        (0..Operator::ALL.len(), values, proptest::option::of(1_u32..4))
    }

    proptest::proptest! {
        /// The order in which requirements are added up means nothing, and one that is there already adds nothing.
        #[test]
        fn intersection_is_a_meet(parts in proptest::collection::vec(any_requirement(), 4)) {
            let s = &mut label::vocabulary();
            let values = VALUES.map(|value| s.intern_value(value));
            let made: Vec<Requirement> = (parts.into_iter())
                .map(|(operator, chosen, min_values)| {
                    let chosen = chosen.into_iter().map(|i| values[i]);
                    Requirement::new(Operator::ALL[operator], chosen).with_min_values(min_values)
                })
                .collect();
            let (a, b) = (made[0].intersection(&made[1]), made[2].clone());
            let c = made[3].clone();
            proptest::prop_assert_eq!(a.intersection(&b), b.intersection(&a));
            let (left, right) = (a.intersection(&b).intersection(&c), a.intersection(&b.intersection(&c)));
            proptest::prop_assert_eq!(&left, &right);
            proptest::prop_assert_eq!(a.intersection(&a), a.clone());
            proptest::prop_assert_eq!(left.intersection(&a), left.clone());
            for value in values {
                proptest::prop_assert_eq!(left.has(value), a.has(value) && b.has(value) && c.has(value));
            }
            let both = a.intersection(&b);
            if !both.is_complement() {
                proptest::prop_assert_eq!(a.intersects(&b), both.operator() != DoesNotExist);
            }
        }
    }
}
