//! Latencies of a scenario as distributions in milliseconds, and how long nodes of an AMI family boot.

use super::settings::LatencyModel;
use crate::ec2::node_class::AmiFamily;
use crate::engine::Distribution;
use crate::world::settings::Boot;

/// Types with GPUs or accelerators take this much longer: drivers and larger images.
const ACCELERATED_FACTOR: f64 = 1.7;
/// Types with an instance store: the volumes are formatted.
const INSTANCE_STORE_FACTOR: f64 = 1.15;
/// Median and 95th percentile of bare metal, in seconds, whatever the family.
const METAL_S: (f64, f64) = (300.0, 600.0);

/// The distribution of a latency.
pub fn distribution(model: &LatencyModel) -> Distribution {
    match model {
        LatencyModel::Fixed(span) => Distribution::Fixed(span.ms()),
        LatencyModel::LogNormal { p50, p95 } => {
            Distribution::LogNormal { p50: p50.ms() as f64, p95: p95.ms() as f64 }
        }
        LatencyModel::Uniform(low, high) => {
            Distribution::Uniform { low: low.ms(), high: high.ms() }
        }
        LatencyModel::Other(distribution) => distribution.clone(),
        LatencyModel::Empirical(spans) => {
            Distribution::empirical(spans.iter().map(|span| span.ms()).collect())
        }
    }
}

/// How long nodes take from Launched to Registered: `registered` for every type when the scenario gives it, else the
/// family's figures. `None` for the family counts as Amazon Linux 2023, and so does the user's own AMI, of which
/// nothing is known.
///
/// Medians and 95th percentiles of ordinary types are measurements that users and AWS published (2021 to 2025); the
/// factors for accelerators and instance stores and the figure for bare metal are estimates.
pub fn boot(family: Option<AmiFamily>, registered: Option<&LatencyModel>) -> Boot {
    if let Some(model) = registered {
        return Boot::same(distribution(model));
    }
    let (p50, p95) = match family {
        None | Some(AmiFamily::Al2023 | AmiFamily::Custom) => (35.0, 60.0),
        Some(AmiFamily::Al2) => (28.0, 50.0),
        Some(AmiFamily::Bottlerocket) => (25.0, 45.0),
        Some(AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025) => {
            (240.0, 420.0)
        }
    };
    let times = |factor: f64| log_normal(p50 * factor, p95 * factor);
    Boot {
        ordinary: times(1.0),
        accelerated: times(ACCELERATED_FACTOR),
        instance_store: times(INSTANCE_STORE_FACTOR),
        metal: log_normal(METAL_S.0, METAL_S.1),
    }
}

fn log_normal(p50_s: f64, p95_s: f64) -> Distribution {
    Distribution::LogNormal { p50: p50_s * 1_000.0, p95: p95_s * 1_000.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimDuration;

    #[test]
    fn boots_are_the_familys_unless_the_scenario_says_otherwise() {
        let al2023 = boot(Some(AmiFamily::Al2023), None);
        let median_s = |d: &Distribution| d.median() / 1_000;
        assert_eq!(median_s(&al2023.ordinary), 35);
        assert_eq!(median_s(&al2023.accelerated), 59);
        assert_eq!(median_s(&al2023.instance_store), 40);
        assert_eq!(median_s(&al2023.metal), 300);
        assert_eq!(median_s(&boot(Some(AmiFamily::Bottlerocket), None).ordinary), 25);
        assert_eq!(median_s(&boot(Some(AmiFamily::Windows2022), None).ordinary), 240);
        let fixed = LatencyModel::Fixed(SimDuration::from_seconds(45));
        let fixed = boot(Some(AmiFamily::Al2), Some(&fixed));
        assert_eq!(fixed, Boot::same(Distribution::Fixed(45_000)));
    }
}
