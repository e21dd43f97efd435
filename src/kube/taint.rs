//! Taints and tolerations.
//!
//! Upstream: kubernetes/api v0.35.1 `core/v1/toleration.go`; karpenter v1.14.1 `pkg/scheduling/taints.go`.

use crate::units::{LabelValue, Symbols};

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Pods are not bound.
    NoSchedule,
    /// Pods are bound elsewhere if possible. Karpenter treats it as hard until relaxed.
    PreferNoSchedule,
    /// Pods are not bound and running ones are evicted.
    NoExecute,
}

impl Effect {
    /// The effect's name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Effect::NoSchedule => "NoSchedule",
            Effect::PreferNoSchedule => "PreferNoSchedule",
            Effect::NoExecute => "NoExecute",
        }
    }

    /// The effect of a manifest's name.
    pub fn parse(name: &str) -> Option<Effect> {
        [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute]
            .into_iter()
            .find(|effect| effect.name() == name)
    }
}

/// A taint. Two taints are the same taint when key and effect agree; see [`Taint::matches`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// The key.
    pub key: LabelValue,
    /// The value, the empty text when absent.
    pub value: LabelValue,
    /// The effect.
    pub effect: Effect,
}

impl Taint {
    /// Same key and effect, whatever the value (Kubernetes' `MatchTaint`).
    pub fn matches(&self, other: &Taint) -> bool {
        self.key == other.key && self.effect == other.effect
    }

    /// `key[=value]:effect`.
    pub fn describe(&self, symbols: &Symbols) -> String {
        let (key, value) = (symbols.text(self.key.symbol), symbols.text(self.value.symbol));
        let equals = if value.is_empty() { "" } else { "=" };
        format!("{key}{equals}{value}:{}", self.effect.name())
    }
}

/// How a toleration compares values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TolerationOperator {
    /// The values are equal (also the default).
    Equal,
    /// Any value.
    Exists,
    /// The taint's value is an integer below the toleration's.
    Lt,
    /// The taint's value is an integer above the toleration's.
    Gt,
}

/// A toleration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// The key; `None` tolerates every key.
    pub key: Option<LabelValue>,
    /// How values compare.
    pub operator: TolerationOperator,
    /// The value, the empty text when absent.
    pub value: LabelValue,
    /// The effect; `None` tolerates every effect.
    pub effect: Option<Effect>,
}

impl Toleration {
    /// True iff `taint` is tolerated.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        if self.effect.is_some_and(|effect| effect != taint.effect)
            || self.key.is_some_and(|key| key != taint.key)
        {
            return false;
        }
        let compare = |decide: fn(i64, i64) -> bool| {
            taint.value.integer.zip(self.value.integer).is_some_and(|(t, v)| decide(t, v))
        };
        match self.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => self.value == taint.value,
            TolerationOperator::Lt => compare(|taint, own| taint < own),
            TolerationOperator::Gt => compare(|taint, own| taint > own),
        }
    }
}

/// True iff some toleration tolerates `taint`.
pub fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| toleration.tolerates(taint))
}

/// The first taint, of any effect, that nothing tolerates (Karpenter counts PreferNoSchedule too).
pub fn first_untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints.iter().find(|taint| !tolerated(taint, tolerations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_match_by_key_effect_and_value() {
        let mut s = Symbols::default();
        let mut v = |text: &str| s.intern_value(text);
        let taint = Taint { key: v("dedicated"), value: v("gpu"), effect: Effect::NoSchedule };
        let equal = Toleration {
            key: Some(v("dedicated")),
            operator: TolerationOperator::Equal,
            value: v("gpu"),
            effect: None,
        };
        let everything = Toleration {
            key: None,
            operator: TolerationOperator::Exists,
            value: v(""),
            effect: None,
        };
        assert!(
            tolerated(&taint, std::slice::from_ref(&equal)) && tolerated(&taint, &[everything])
        );
        assert!(!tolerated(&taint, &[Toleration { value: v("cpu"), ..equal.clone() }]));
        assert!(!tolerated(
            &taint,
            &[Toleration { effect: Some(Effect::NoExecute), ..equal.clone() }]
        ));
        let number = Taint { value: v("5"), ..taint };
        let below = Toleration { operator: TolerationOperator::Lt, value: v("7"), ..equal };
        assert!(tolerated(&number, std::slice::from_ref(&below)));
        assert!(!tolerated(&number, &[Toleration { operator: TolerationOperator::Gt, ..below }]));
    }
}
