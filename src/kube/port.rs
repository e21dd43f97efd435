//! Host ports: what two pods on one node may not both have.
//!
//! Upstream: karpenter v1.14.1 `pkg/scheduling/hostportusage.go`.

use crate::units::Symbol;

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// The default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// None was stated and no API server filled in the default: it is none of the others.
    Unset,
}

/// A port of the node that a container takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The address in canonical form; `None` is the unspecified one (`0.0.0.0`, `::`), which means all.
    pub address: Option<Symbol>,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl HostPort {
    /// A TCP port on all addresses.
    pub const fn tcp(port: u16) -> HostPort {
        HostPort { address: None, port, protocol: Protocol::Tcp }
    }

    /// True iff both cannot be on one node.
    pub fn conflicts(&self, other: &HostPort) -> bool {
        self.protocol == other.protocol
            && self.port == other.port
            && (self.address == other.address || self.address.is_none() || other.address.is_none())
    }
}

/// True iff some port of `wanted` conflicts with one of `used`.
pub fn conflict(wanted: &[HostPort], used: &[HostPort]) -> bool {
    wanted.iter().any(|port| used.iter().any(|taken| port.conflicts(taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_conflicts_with_all() {
        let all = HostPort::tcp(80);
        let one = HostPort { address: Some(Symbol::at(1)), ..all };
        let other = HostPort { address: Some(Symbol::at(2)), ..all };
        assert!(all.conflicts(&one) && one.conflicts(&all) && one.conflicts(&one));
        assert!(!one.conflicts(&other));
        assert!(!all.conflicts(&HostPort { protocol: Protocol::Udp, ..all }));
        assert!(!all.conflicts(&HostPort { port: 81, ..all }));
    }
}
