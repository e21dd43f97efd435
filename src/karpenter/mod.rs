//! karpenter
