//! Label selectors over pods and namespaces.
//!
//! Upstream: apimachinery v0.35.1 `pkg/apis/meta/v1/helpers.go` (`LabelSelectorAsSelector`).

use super::label::Labels;
use crate::units::{LabelValue, Symbol};

/// A label selector. Labels and expressions are all required; both lists are ascending and distinct, so that selectors
/// that say the same in another order are equal.
///
/// An absent selector (`None` where one is optional) matches nothing, an empty one everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSelector {
    labels: Vec<(Symbol, LabelValue)>,
    expressions: Vec<SelectorExpression>,
}

/// One entry of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelectorExpression {
    key: Symbol,
    operator: SelectorOperator,
    values: Vec<LabelValue>,
}

/// The operator of a [`SelectorExpression`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SelectorOperator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl SelectorExpression {
    /// An expression; the order of the values means nothing.
    pub fn new(
        key: Symbol,
        operator: SelectorOperator,
        mut values: Vec<LabelValue>,
    ) -> SelectorExpression {
        values.sort_unstable();
        values.dedup();
        SelectorExpression { key, operator, values }
    }

    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(self.key);
        let listed = || value.is_some_and(|value| self.values.binary_search(&value).is_ok());
        match self.operator {
            SelectorOperator::In => listed(),
            SelectorOperator::NotIn => !listed(),
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
        }
    }
}

impl LabelSelector {
    /// Requires `key` to have exactly `value` (`matchLabels`).
    pub fn require(&mut self, key: Symbol, value: LabelValue) {
        match self.labels.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(i) => self.labels[i].1 = value,
            Err(i) => self.labels.insert(i, (key, value)),
        }
    }

    /// Adds an expression, unless it is there.
    pub fn add(&mut self, expression: SelectorExpression) {
        if let Err(i) = self.expressions.binary_search(&expression) {
            self.expressions.insert(i, expression);
        }
    }

    /// True iff nothing is required: everything matches.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.expressions.is_empty()
    }

    /// True iff `labels` satisfy everything.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.labels.iter().all(|(key, value)| labels.get(*key) == Some(*value))
            && self.expressions.iter().all(|expression| expression.matches(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Symbols;

    #[test]
    fn absent_labels_satisfy_negative_operators_alone() {
        let mut s = Symbols::default();
        let (app, web) = (s.intern("app"), s.intern_value("web"));
        let labelled = Labels::from_iter([(app, web)]);
        let bare = Labels::default();
        use SelectorOperator::*;
        for (operator, values, with, without) in [
            (In, vec![web], true, false),
            (NotIn, vec![web], false, true),
            (Exists, vec![], true, false),
            (DoesNotExist, vec![], false, true),
        ] {
            let mut selector = LabelSelector::default();
            selector.add(SelectorExpression::new(app, operator, values));
            assert_eq!((selector.matches(&labelled), selector.matches(&bare)), (with, without));
        }
        assert!(LabelSelector::default().matches(&bare), "an empty selector matches everything");
    }

    #[test]
    fn order_and_repetition_mean_nothing() {
        let mut s = Symbols::default();
        let key = s.intern("tier");
        let (a, b) = (s.intern_value("a"), s.intern_value("b"));
        let expression = |values| SelectorExpression::new(key, SelectorOperator::In, values);
        let (mut x, mut y) = (LabelSelector::default(), LabelSelector::default());
        x.add(expression(vec![a, b]));
        y.add(expression(vec![b, a, a]));
        y.add(expression(vec![a, b]));
        assert_eq!(x, y);
    }
}
