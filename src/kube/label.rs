//! Label keys that Karpenter knows, their normalisation, and label maps.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1/labels.go`; karpenter-provider-aws v1.14.1 `pkg/apis/v1/labels.go`.
//!
//! A run's [`Symbols`] come from [`vocabulary`], which interns the well-known keys first, in the order of
//! [`WELL_KNOWN`]: whether a key is well known is then a comparison of its index.

use std::sync::Arc;

use crate::units::{LabelValue, Symbol, Symbols};

/// Keys that the cloud provider defines on every node, so that they may be undefined on a NodePool's side of a
/// comparison.
pub const WELL_KNOWN: [&str; 36] = [
    "karpenter.sh/nodepool",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "karpenter.sh/capacity-type",
    "node.kubernetes.io/windows-build",
    "topology.k8s.aws/zone-id",
    "karpenter.k8s.aws/capacity-reservation-id",
    "karpenter.k8s.aws/capacity-reservation-type",
    "karpenter.k8s.aws/capacity-reservation-interruptible",
    "karpenter.k8s.aws/instance-hypervisor",
    "karpenter.k8s.aws/instance-encryption-in-transit-supported",
    "karpenter.k8s.aws/instance-category",
    "karpenter.k8s.aws/instance-capability-flex",
    "karpenter.k8s.aws/instance-family",
    "karpenter.k8s.aws/instance-generation",
    "karpenter.k8s.aws/instance-size",
    "karpenter.k8s.aws/instance-local-nvme",
    "karpenter.k8s.aws/instance-cpu",
    "karpenter.k8s.aws/instance-cpu-manufacturer",
    "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz",
    "karpenter.k8s.aws/instance-memory",
    "karpenter.k8s.aws/instance-ebs-bandwidth",
    "karpenter.k8s.aws/instance-network-bandwidth",
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-gpu-manufacturer",
    "karpenter.k8s.aws/instance-gpu-count",
    "karpenter.k8s.aws/instance-gpu-memory",
    "karpenter.k8s.aws/instance-accelerator-name",
    "karpenter.k8s.aws/instance-accelerator-manufacturer",
    "karpenter.k8s.aws/instance-accelerator-count",
    "karpenter.k8s.aws/instance-tenancy",
    "karpenter.k8s.aws/placement-group-id",
    "karpenter.k8s.aws/placement-group-partition",
];

/// Further keys with fixed symbols, interned after [`WELL_KNOWN`].
const FIXED: [&str; 5] = [
    "kubernetes.io/hostname",
    "karpenter.sh/registered",
    "karpenter.sh/initialized",
    "karpenter.k8s.aws/ec2nodeclass",
    "karpenter.sh/do-not-disrupt",
];

/// `karpenter.sh/nodepool`
pub const NODEPOOL: Symbol = Symbol::at(0);
/// `topology.kubernetes.io/zone`
pub const ZONE: Symbol = Symbol::at(1);
/// `topology.kubernetes.io/region`
pub const REGION: Symbol = Symbol::at(2);
/// `node.kubernetes.io/instance-type`
pub const INSTANCE_TYPE: Symbol = Symbol::at(3);
/// `kubernetes.io/arch`
pub const ARCH: Symbol = Symbol::at(4);
/// `kubernetes.io/os`
pub const OS: Symbol = Symbol::at(5);
/// `karpenter.sh/capacity-type`
pub const CAPACITY_TYPE: Symbol = Symbol::at(6);
/// `topology.k8s.aws/zone-id`
pub const ZONE_ID: Symbol = Symbol::at(8);
/// `karpenter.k8s.aws/capacity-reservation-id`
pub const RESERVATION_ID: Symbol = Symbol::at(9);
/// `kubernetes.io/hostname`
pub const HOSTNAME: Symbol = Symbol::at(WELL_KNOWN.len());
/// `karpenter.sh/registered`
pub const REGISTERED: Symbol = Symbol::at(WELL_KNOWN.len() + 1);
/// `karpenter.sh/initialized`
pub const INITIALIZED: Symbol = Symbol::at(WELL_KNOWN.len() + 2);
/// `karpenter.k8s.aws/ec2nodeclass`
pub const EC2_NODE_CLASS: Symbol = Symbol::at(WELL_KNOWN.len() + 3);

/// An interner that knows the fixed keys at their fixed symbols.
pub fn vocabulary() -> Symbols {
    let mut symbols = Symbols::default();
    for key in WELL_KNOWN.iter().chain(&FIXED) {
        symbols.intern(key);
    }
    symbols
}

/// True for the keys of [`WELL_KNOWN`], given a symbol of an interner made by [`vocabulary`].
pub const fn is_well_known(key: Symbol) -> bool {
    key.index() < WELL_KNOWN.len()
}

/// The key that an alias stands for (karpenter v1.14.1 `NormalizedLabels`; AWS adds the EBS CSI zone key).
pub fn normalize(key: &str) -> &str {
    match key {
        "failure-domain.beta.kubernetes.io/zone" | "topology.ebs.csi.aws.com/zone" => WELL_KNOWN[1],
        "failure-domain.beta.kubernetes.io/region" => WELL_KNOWN[2],
        "beta.kubernetes.io/instance-type" => WELL_KNOWN[3],
        "beta.kubernetes.io/arch" => WELL_KNOWN[4],
        "beta.kubernetes.io/os" => WELL_KNOWN[5],
        _ => key,
    }
}

/// True iff Karpenter refuses the key in NodePools and pod selectors: not well known and in a restricted domain, or the
/// hostname key.
pub fn is_restricted(key: &str) -> bool {
    if WELL_KNOWN.contains(&key) {
        return false;
    }
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let within = |restricted: &str| {
        domain == restricted
            || domain.strip_suffix(restricted).is_some_and(|rest| rest.ends_with('.'))
    };
    key == FIXED[0] || within("karpenter.sh") || within("karpenter.k8s.aws")
}

/// True iff a NodePool cannot name the key: those that Karpenter refuses, and all of domains that end like its own
/// (karpenter-provider-aws v1.14.1 `pkg/apis/crds/karpenter.sh_nodepools.yaml`).
pub fn is_refused_in_node_pools(key: &str) -> bool {
    let domain = key.split('/').next().unwrap_or_default();
    let ends_alike = domain.ends_with("karpenter.sh") || domain.ends_with("karpenter.k8s.aws");
    is_restricted(key) || ends_alike && !WELL_KNOWN.contains(&key)
}

/// A label map: keys normalised, ascending by symbol, one value a key. A copy shares the entries until it is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<Vec<(Symbol, LabelValue)>>);

impl Labels {
    /// Sets `key`, replacing an earlier value.
    pub fn set(&mut self, key: Symbol, value: LabelValue) {
        let entries = Arc::make_mut(&mut self.0);
        match entries.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(i) => entries[i].1 = value,
            Err(i) => entries.insert(i, (key, value)),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: Symbol) -> Option<LabelValue> {
        self.0.binary_search_by_key(&key, |(k, _)| *k).ok().map(|i| self.0[i].1)
    }

    /// All entries; the order is that of the symbols and decides nothing.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, LabelValue)> + '_ {
        self.0.iter().copied()
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Symbol, LabelValue)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Symbol, LabelValue)>>(iter: I) -> Labels {
        let mut labels = Labels::default();
        iter.into_iter().for_each(|(key, value)| labels.set(key, value));
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_keys_have_fixed_symbols() {
        let symbols = vocabulary();
        for (symbol, text) in [
            (NODEPOOL, "karpenter.sh/nodepool"),
            (ZONE, "topology.kubernetes.io/zone"),
            (REGION, "topology.kubernetes.io/region"),
            (INSTANCE_TYPE, "node.kubernetes.io/instance-type"),
            (ARCH, "kubernetes.io/arch"),
            (OS, "kubernetes.io/os"),
            (CAPACITY_TYPE, "karpenter.sh/capacity-type"),
            (ZONE_ID, "topology.k8s.aws/zone-id"),
            (RESERVATION_ID, "karpenter.k8s.aws/capacity-reservation-id"),
            (HOSTNAME, "kubernetes.io/hostname"),
            (REGISTERED, "karpenter.sh/registered"),
            (INITIALIZED, "karpenter.sh/initialized"),
            (EC2_NODE_CLASS, "karpenter.k8s.aws/ec2nodeclass"),
        ] {
            assert_eq!(symbols.text(symbol), text);
        }
        assert!(is_well_known(ZONE) && !is_well_known(HOSTNAME));
    }

    #[test]
    fn restricted_domains_are_suffixes_with_a_dot() {
        assert!(is_restricted("karpenter.sh/initialized"));
        assert!(is_restricted("kubernetes.io/hostname"));
        assert!(is_restricted("foo.karpenter.sh/x"));
        assert!(is_restricted("karpenter.k8s.aws/ec2nodeclass"));
        assert!(!is_restricted("karpenter.sh/capacity-type"));
        assert!(!is_restricted("mykarpenter.sh/x"));
        assert!(!is_restricted("team"));
        assert!(!is_restricted("node.kubernetes.io/anything"));
    }
}
