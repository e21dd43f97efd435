//! Step functions of time: a value holds until the next change.
//!
//! Integral and maximum are exact however long the run. The points for drawing are bounded: past [`Steps::POINT_LIMIT`]
//! they are thinned to the lowest, the highest and the last of each time bucket, so that no spike is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::units::{SimTime, Usd};

/// A step function, 0 before its first point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    points: Vec<(SimTime, i64)>,
    /// Value times milliseconds up to the last point.
    settled: i128,
    /// Highest value up to the last point, that one left out since it may still change within its instant.
    settled_max: i64,
    /// Width of the buckets at the last thinning in milliseconds, 0 when never thinned.
    bucket_ms: i64,
}

impl Steps {
    /// Points that are kept at most.
    pub const POINT_LIMIT: usize = 1 << 16;

    /// The changes: instants ascend strictly, neighbours differ in value.
    pub fn points(&self) -> &[(SimTime, i64)] {
        &self.points
    }

    /// The current value.
    pub fn last(&self) -> i64 {
        self.points.last().map_or(0, |(_, value)| *value)
    }

    /// Sets the value from `at` on, which must not lie before the last change. Of several values in one instant the
    /// last stays.
    pub fn set(&mut self, at: SimTime, value: i64) {
        match self.points.last().copied() {
            None if value == 0 => {}
            None => self.points.push((at, value)),
            Some((last_at, last)) if last_at == at => {
                if last != value {
                    self.replace_last(at, value);
                }
            }
            Some((last_at, last)) => {
                assert!(last_at < at, "a step at {at} after one at {last_at}");
                if last != value {
                    self.append(at, value);
                }
            }
        }
    }

    /// Adds to the value from `at` on.
    pub fn add(&mut self, at: SimTime, delta: i64) {
        self.set(at, self.last() + delta);
    }

    /// The value at an instant, after the changes of that instant.
    pub fn value_at(&self, at: SimTime) -> i64 {
        let after = self.points.partition_point(|(t, _)| *t <= at);
        after.checked_sub(1).map_or(0, |i| self.points[i].1)
    }

    /// Sum of value times milliseconds from the start of the run to `end`, which must not lie before the last change.
    pub fn integral(&self, end: SimTime) -> i128 {
        self.points.last().map_or(0, |(at, value)| {
            self.settled + i128::from(*value) * i128::from(end.since(*at).ms())
        })
    }

    /// The highest value ever held, at least 0.
    pub fn max(&self) -> i64 {
        self.settled_max.max(self.last())
    }

    /// True when the points were thinned, so that they show less than what integral and maximum know.
    pub fn is_thinned(&self) -> bool {
        self.bucket_ms > 0
    }

    fn replace_last(&mut self, at: SimTime, value: i64) {
        self.points.pop();
        match self.points.last() {
            // Back to where it was before this instant: there was no change.
            Some((previous_at, previous)) if *previous == value => {
                self.settled -= i128::from(*previous) * i128::from(at.since(*previous_at).ms());
            }
            None if value == 0 => {}
            _ => self.points.push((at, value)),
        }
    }

    fn append(&mut self, at: SimTime, value: i64) {
        if self.points.len() >= Steps::POINT_LIMIT {
            self.thin();
        }
        let (last_at, last) = self.points.last().copied().unwrap_or((at, 0));
        self.settled += i128::from(last) * i128::from(at.since(last_at).ms());
        self.settled_max = self.settled_max.max(last);
        self.points.push((at, value));
    }

    /// Keeps three points a bucket. The buckets become twice as wide when the span asks for it, so that far less than
    /// the limit is left. The last point always stays.
    fn thin(&mut self) {
        let (Some((first, _)), Some((last, value))) = (self.points.first(), self.points.last())
        else {
            return;
        };
        let (last, value) = (*last, *value);
        let span = last.since(*first).ms();
        let buckets = Steps::POINT_LIMIT as i64 / 8;
        let least = span / buckets + 1;
        if least > self.bucket_ms {
            self.bucket_ms = least.max(self.bucket_ms * 2);
        }
        let width = self.bucket_ms;
        let mut kept = Vec::with_capacity(Steps::POINT_LIMIT);
        for bucket in self.points.chunk_by(|a, b| a.0.ms() / width == b.0.ms() / width) {
            keep_extremes(bucket, &mut kept);
        }
        // The last point may have merged into an earlier one of equal value; the integral reaches up to that one then.
        let end = kept.last().map_or(last, |(at, _)| *at);
        self.settled -= i128::from(value) * i128::from(last.since(end).ms());
        self.points = kept;
    }
}

/// Of the points of one bucket the lowest, the highest and the last, in order of time.
fn keep_extremes(bucket: &[(SimTime, i64)], kept: &mut Vec<(SimTime, i64)>) {
    let lowest = bucket.iter().min_by_key(|(at, value)| (*value, *at));
    let highest = bucket.iter().max_by_key(|(at, value)| (*value, std::cmp::Reverse(*at)));
    let mut three: Vec<(SimTime, i64)> =
        [lowest, highest, bucket.last()].into_iter().flatten().copied().collect();
    three.sort_unstable();
    three.dedup();
    for point in three {
        if kept.last().is_none_or(|(_, value)| *value != point.1) {
            kept.push(point);
        }
    }
}

/// How a run went over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Nodes from launch to the TerminateInstances call.
    pub nodes: Steps,
    /// The same by instance type.
    pub nodes_by_type: BTreeMap<Arc<str>, Steps>,
    /// What is billed, nano-USD an hour: from EC2 state `running` to the TerminateInstances call.
    pub cost_rate: Steps,
    /// The same by instance type.
    pub cost_rate_by_type: BTreeMap<Arc<str>, Steps>,
    /// The bill so far: straight lines between the points; the last point is the total at the end.
    pub cumulative_cost: Vec<(SimTime, Usd)>,
    /// Pods that run and were not told to go; daemon pods left out.
    pub pods_running: Steps,
    /// Pods created that have no node yet; daemon pods left out.
    pub pods_pending: Steps,
    /// Milli-CPU requested by the pods, daemons too, on the nodes counted in `allocatable_cpu_milli`.
    pub requested_cpu_milli: Steps,
    /// Milli-CPU that the nodes offer, from registration to the TerminateInstances call.
    pub allocatable_cpu_milli: Steps,
    /// Bytes of memory requested.
    pub requested_memory_bytes: Steps,
    /// Bytes of memory that the nodes offer.
    pub allocatable_memory_bytes: Steps,
    /// Instants of launches, ascending, one a node.
    pub launches: Vec<SimTime>,
    /// Instants of TerminateInstances calls, ascending, one a node.
    pub terminations: Vec<SimTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Millions of changes: the points stay few, integral and maximum exact.
    #[test]
    fn long_runs_keep_few_points_and_lose_nothing() {
        let (mut steps, mut integral) = (Steps::default(), 0_i128);
        let changes = 3_000_000_i64;
        for i in 0..changes {
            let value = 10 + i % 7;
            steps.set(SimTime::from_ms(i * 800), value);
            integral += i128::from(value) * 800;
        }
        steps.set(SimTime::from_ms(changes * 800), 99);
        steps.set(SimTime::from_ms(changes * 800 + 1), 0);
        assert!(steps.is_thinned() && steps.points().len() <= Steps::POINT_LIMIT);
        assert_eq!(steps.integral(SimTime::from_ms(changes * 800 + 1)), integral + 99);
        assert_eq!(steps.max(), 99);
        let instants: Vec<SimTime> = steps.points().iter().map(|(at, _)| *at).collect();
        assert!(instants.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
