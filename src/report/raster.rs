//! Step functions on columns of pixels.
//!
//! A column may cover many changes. It keeps the lowest, the highest and the last value, so that no
//! spike is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::axis::TimeAxis;
use super::palette::{CATEGORIES, OTHER, Rgb};
use crate::outcome::{Series, Steps};
use crate::units::SimTime;

/// What a step function does within one column of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Column {
    /// Lowest value.
    pub min: f64,
    /// Highest value.
    pub max: f64,
    /// Value at the right edge.
    pub last: f64,
}

/// The columns of a step function, `density` of them per logical pixel, each value times `factor`.
pub fn columns(steps: &Steps, axis: &TimeAxis, density: u32, factor: f64) -> Vec<Column> {
    let density = f64::from(density);
    let count = libm::round((axis.right() - axis.left()) * density) as usize;
    let mut columns = Vec::with_capacity(count);
    let mut current = Column::default();
    for (at, value) in steps.points() {
        let value = *value as f64 * factor;
        let place = libm::floor((axis.x(at.ms()) - axis.left()) * density) as usize;
        // A change at the very end still belongs to the last column.
        let place = place.min(count.saturating_sub(1));
        while columns.len() < place {
            columns.push(current);
            current = flat(current.last);
        }
        current = if at.ms() == 0 {
            // Nothing was before the start.
            flat(value)
        } else {
            Column { min: current.min.min(value), max: current.max.max(value), last: value }
        };
    }
    while columns.len() < count {
        columns.push(current);
        current = flat(current.last);
    }
    columns
}

const fn flat(value: f64) -> Column {
    Column { min: value, max: value, last: value }
}

/// A category of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub color: Rgb,
    /// The instance types it stands for.
    pub members: Vec<Arc<str>>,
}

/// The instance types with most node-hours, the rest under one grey name: largest first, ties by
/// name.
pub fn categories(series: &Series, end: SimTime) -> Vec<Category> {
    let mut ranked: Vec<(&Arc<str>, i128)> =
        series.nodes_by_type.iter().map(|(name, steps)| (name, steps.integral(end))).collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let named = ranked.len().min(CATEGORIES.len());
    let mut categories: Vec<Category> = ranked[..named]
        .iter()
        .zip(CATEGORIES)
        .map(|((name, _), color)| Category {
            name: name.to_string(),
            color,
            members: vec![Arc::clone(name)],
        })
        .collect();
    let rest = &ranked[named..];
    if !rest.is_empty() {
        categories.push(Category {
            name: format!("other ({} types)", rest.len()),
            color: OTHER,
            members: rest.iter().map(|(name, _)| Arc::clone(name)).collect(),
        });
    }
    categories
}

/// The columns of each category: its members' added up.
///
/// Highs of several members need not fall together, so that a sum of highs is a bound; the panel's
/// total line limits it.
pub fn stack(
    categories: &[Category],
    by_type: &BTreeMap<Arc<str>, Steps>,
    axis: &TimeAxis,
    density: u32,
    factor: f64,
) -> Vec<Vec<Column>> {
    let of = |category: &Category| {
        let members = category.members.iter().filter_map(|name| by_type.get(name));
        let mut sum: Vec<Column> = columns(&Steps::default(), axis, density, factor);
        for steps in members {
            for (total, one) in sum.iter_mut().zip(columns(steps, axis, density, factor)) {
                total.min += one.min;
                total.max += one.max;
                total.last += one.last;
            }
        }
        sum
    };
    categories.iter().map(of).collect()
}

/// A stretch over which a step function holds one value, where it is widest on the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// The value.
    pub value: i64,
    /// Left end.
    pub left: f64,
    /// Right end.
    pub right: f64,
}

/// The plateaus at least `room` pixels wide, in order of time.
pub fn plateaus(steps: &Steps, axis: &TimeAxis, end_ms: i64, room: f64) -> Vec<Plateau> {
    let mut changes: Vec<(i64, i64)> = vec![(0, 0)];
    changes.extend(steps.points().iter().map(|(at, value)| (at.ms(), *value)));
    let ends = changes.iter().skip(1).map(|(at, _)| *at).chain([end_ms]);
    let mut found = Vec::new();
    for ((from, value), to) in changes.iter().copied().zip(ends) {
        if to <= from {
            continue;
        }
        let (left, right) = (axis.x(from), axis.x(to));
        if right - left < room {
            continue;
        }
        let visible = axis
            .pieces()
            .iter()
            .map(|piece| (piece.left.max(left), piece.right.min(right)))
            .max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        if let Some((left, right)) = visible
            && right - left >= room
        {
            found.push(Plateau { value, left, right });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_within_one_column_survives() {
        let mut steps = Steps::default();
        steps.set(SimTime::from_ms(0), 1);
        steps.set(SimTime::from_ms(500_000), 9);
        steps.set(SimTime::from_ms(500_001), 1);
        let axis = TimeAxis::new(&[], 1_000_000, 0.0, 200.0);
        let columns = columns(&steps, &axis, 1, 1.0);
        assert_eq!(columns.len(), 200);
        assert_eq!(columns[0], flat(1.0));
        assert_eq!((columns[100].max, columns[100].last), (9.0, 1.0));
        assert_eq!(columns[101], flat(1.0));
    }

    #[test]
    fn a_change_at_the_end_is_drawn() {
        let mut steps = Steps::default();
        steps.set(SimTime::from_ms(10), 3);
        let axis = TimeAxis::new(&[], 10, 0.0, 200.0);
        let columns = columns(&steps, &axis, 2, 1.0);
        assert_eq!(columns.len(), 400);
        assert_eq!(columns[399].max, 3.0);
    }

    #[test]
    fn types_past_the_eighth_are_other() {
        let mut series = Series::default();
        for i in 0..300 {
            let steps = series.nodes_by_type.entry(format!("t{i:03}").into());
            steps.or_default().set(SimTime::ZERO, 1 + i64::from(i == 7));
        }
        let found = categories(&series, SimTime::from_ms(1));
        assert_eq!(found.len(), 9);
        assert_eq!((found[0].name.as_str(), found[1].name.as_str()), ("t007", "t000"));
        assert_eq!(found[8].name, "other (292 types)");
        assert_eq!(found[8].members.len(), 292);
    }
}
