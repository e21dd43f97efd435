//! The runs of a study as data: what tables, files and pictures of comparisons and sweeps are made from.

use super::comparison::Difference;
use super::grid::Grid;
use super::runner::key;
use super::statistics::Estimate;
use crate::outcome::{Header, Metric, RunResult};
use crate::scenario::patch::Changed;

/// The figures of one run: name with labels, and value.
pub type Figures = Vec<(String, Option<String>)>;

/// One run that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub id: u64,
    /// Position of its cell.
    pub cell: usize,
    /// Its replication.
    pub replication: u32,
    /// Its seed.
    pub seed: u64,
    /// Its figures.
    pub figures: Figures,
}

impl Row {
    /// The value of a metric.
    pub fn value(&self, key: &str) -> Option<f64> {
        let (_, value) = self.figures.iter().find(|(name, _)| name == key)?;
        value.as_ref()?.parse().ok()
    }
}

/// A run that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRun {
    /// Its number.
    pub id: u64,
    /// Why.
    pub reason: String,
}

/// All runs of a study.
#[derive(Clone, Debug)]
pub struct Study {
    /// What identifies the first run.
    pub header: Header,
    /// The grid.
    pub grid: Grid,
    /// For each cell, what it changes of the scenario as it is written.
    pub changed: Vec<Vec<Changed>>,
    /// Runs that ended, ascending by number.
    pub rows: Vec<Row>,
    /// Runs that failed, ascending by number.
    pub failed: Vec<FailedRun>,
    /// Whole results of the first replication of each cell, where they are kept.
    pub results: Vec<Option<Box<RunResult>>>,
    /// False when runs are missing because the user stopped them.
    pub complete: bool,
}

impl Study {
    /// The values of a metric in the runs of a cell, in the order of the replications.
    pub fn values(&self, cell: usize, key: &str) -> Vec<Option<f64>> {
        let count = self.grid.replications as usize;
        let mut values = vec![None; count];
        for row in self.rows.iter().filter(|row| row.cell == cell) {
            if let Some(slot) = values.get_mut(row.replication as usize) {
                *slot = row.value(key);
            }
        }
        values
    }

    /// The mean of a metric over the runs of a cell.
    pub fn estimate(&self, cell: usize, key: &str) -> Option<Estimate> {
        let values: Vec<f64> = self.values(cell, key).into_iter().flatten().collect();
        Estimate::of(&values)
    }

    /// A cell against another one.
    pub fn difference(&self, metric: &Metric, base: usize, other: usize) -> Option<Difference> {
        let key = key(metric);
        Difference::new(metric, &self.values(base, &key), &self.values(other, &key))
    }

    /// Metrics of the kept results that any run of this study has a value of, each once, in the order of the summary.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = Vec::new();
        for result in self.results.iter().flatten() {
            for metric in &result.summary.metrics {
                if !metrics.iter().any(|known| key(known) == key(metric)) {
                    metrics.push(metric.clone());
                }
            }
        }
        metrics
    }
}
