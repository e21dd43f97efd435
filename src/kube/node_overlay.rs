//! NodeOverlays: what a user says of prices and capacities of instance types, before Karpenter decides by them.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1alpha1/nodeoverlay.go`.

use std::cmp::Reverse;
use std::sync::Arc;

use super::requirement::Requirements;
use crate::units::ResourceVec;

/// A NodeOverlay of `karpenter.sh/v1alpha1`.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeOverlay {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `spec.weight`, 0 when absent.
    pub weight: i32,
    /// `spec.requirements`: of the instance types, the offerings and the NodePool.
    pub requirements: Requirements,
    /// `spec.price` or `spec.priceAdjustment`, as written.
    pub price: Option<Arc<str>>,
    /// `spec.capacity`: resources that are added to the instance types, or replaced.
    pub capacity: Option<ResourceVec>,
}

/// Sorts overlays in the order in which they count: weight descending, then name descending.
pub fn sort_by_weight(overlays: &mut [NodeOverlay]) {
    overlays.sort_by(|a, b| {
        let key = |overlay: &NodeOverlay| (Reverse(overlay.weight), Reverse(overlay.name.clone()));
        key(a).cmp(&key(b))
    });
}
