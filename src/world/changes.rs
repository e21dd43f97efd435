//! What was written to NodeClaims, Nodes and pods since somebody last looked: for what is derived from them and kept.

use super::cluster::Cluster;

/// How far somebody has looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    claims: u64,
    nodes: u64,
    pods: u64,
}

/// Slots to look at again, ascending: those that were written themselves, or whose Node, NodeClaim or bound pods were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of NodeClaims.
    pub claims: Vec<u32>,
    /// Of Nodes.
    pub nodes: Vec<u32>,
}

impl Cluster {
    /// The present, for [`Cluster::changes_since`].
    pub fn seen(&self) -> Seen {
        let (claims, nodes, pods) =
            (self.claims.written(), self.nodes.written(), self.pods.written());
        Seen { claims, nodes, pods }
    }

    /// What may have changed since. `None` when that is too long ago to know.
    pub fn changes_since(&self, seen: Seen) -> Option<Changes> {
        let mut claims = self.claims.written_since(seen.claims)?.to_vec();
        let mut nodes = self.nodes.written_since(seen.nodes)?.to_vec();
        let pods = self.pods.written_since(seen.pods)?.iter();
        let pods = pods.filter_map(|slot| self.pods.at(*slot));
        nodes.extend(pods.filter_map(|(_, pod)| Some(pod.node?.slot())));
        let written = claims.iter().filter_map(|slot| self.claims.at(*slot));
        nodes.extend(written.filter_map(|(_, claim)| Some(claim.node?.slot())));
        nodes.sort_unstable();
        nodes.dedup();
        let live = nodes.iter().filter_map(|slot| self.nodes.at(*slot));
        claims.extend(live.map(|(_, node)| node.claim.slot()));
        claims.sort_unstable();
        claims.dedup();
        Some(Changes { claims, nodes })
    }
}
