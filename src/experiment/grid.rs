//! The runs of a study: points of the axes, policies, replications, numbered in one fixed order.

use crate::engine::{Purpose, Streams};
use crate::scenario::load::{Axis, Plan};

/// Runs of one study at most.
pub const MOST_RUNS: u64 = 1_000_000;

/// A combination of axis values and a policy: what one variant of the scenario is loaded for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Position of the policy.
    pub policy: usize,
    /// For each axis, the position of its value.
    pub values: Vec<usize>,
}

/// All runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// What is varied.
    pub axes: Vec<Axis>,
    /// Names of the policies.
    pub policies: Vec<String>,
    /// Runs of each cell.
    pub replications: u32,
}

impl Grid {
    /// The runs of a plan.
    pub fn new(plan: Plan) -> Grid {
        Grid { axes: plan.axes, policies: plan.policies, replications: plan.replications }
    }

    /// Number of points: combinations of axis values.
    pub fn points(&self) -> u64 {
        self.axes.iter().fold(1, |count, axis| count.saturating_mul(axis.values.len() as u64))
    }

    /// Number of runs.
    pub fn runs(&self) -> u64 {
        let cells = self.points().saturating_mul(self.policies.len() as u64);
        cells.saturating_mul(self.replications.into())
    }

    /// The cells in order: the first axis varies slowest, the policy fastest.
    pub fn cells(&self) -> Vec<Cell> {
        let mut points = vec![Vec::new()];
        for axis in &self.axes {
            let longer = |point: &Vec<usize>| {
                let point = point.clone();
                (0..axis.values.len()).map(move |value| {
                    let mut point = point.clone();
                    point.push(value);
                    point
                })
            };
            points = points.iter().flat_map(longer).collect();
        }
        let with_policies = |values: Vec<usize>| {
            (0..self.policies.len()).map(move |policy| Cell { policy, values: values.clone() })
        };
        points.into_iter().flat_map(with_policies).collect()
    }

    /// The written values of a cell, one an axis.
    pub fn values_of(&self, cell: &Cell) -> Vec<&str> {
        let pairs = self.axes.iter().zip(&cell.values);
        pairs.filter_map(|(axis, value)| axis.values.get(*value).map(String::as_str)).collect()
    }
}

/// The seed of a replication: the scenario's own for the first, derived from it for the others. All cells share it, so
/// that they see the same random world.
pub fn seed(scenario: u64, replication: u32) -> u64 {
    match replication {
        0 => scenario,
        n => Streams::new(scenario).mix(Purpose::Replication, n.into(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_one_order() {
        let axis = |values: &[&str]| Axis {
            path: "seed".to_owned(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        let grid = Grid {
            axes: vec![axis(&["a", "b"]), axis(&["1", "2", "3"])],
            policies: vec!["p".to_owned(), "q".to_owned()],
            replications: 4,
        };
        assert_eq!((grid.points(), grid.runs()), (6, 48));
        let cells = grid.cells();
        assert_eq!(cells.len(), 12);
        assert_eq!((grid.values_of(&cells[3]), cells[3].policy), (vec!["a", "2"], 1));
    }

    #[test]
    fn replications_have_seeds_of_their_own() {
        let seeds: Vec<u64> = (0..100).map(|n| seed(42, n)).collect();
        let distinct: std::collections::BTreeSet<&u64> = seeds.iter().collect();
        assert_eq!((seeds[0], distinct.len()), (42, 100));
        assert_eq!(seed(42, 7), seeds[7]);
    }
}
