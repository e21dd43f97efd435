//! NodeClaims under construction: a set of instance types that still fit all pods so far.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/nodeclaim.go`.

use super::requirement_set::{Clash, RequirementSets, SetId};
use super::reservation::{Held, ReservationError, Reservations};
use super::template::Template;
use super::topology::{Demand, Host, Topology, TopologyRefusal};
use super::type_filter::{LaunchOrders, TypeMasks, in_group_order};
use super::variant::Variant;
use super::volume::VolumeDemand;
use super::{ClaimPlan, min_values, plain, price};
use crate::kube::port;
use crate::kube::requirement::{AllowUndefined, Operator, Requirement};
use crate::kube::{HostPort, Requirements, label, taint};
use crate::units::{BitSet, LabelValue, ResourceVec};
use crate::world::PodId;

/// A claim that exists only inside the running Solve.
#[derive(Clone, Debug)]
pub(super) struct InFlightClaim {
    /// Position of the template.
    pub(super) template: usize,
    pub(super) set: SetId,
    pub(super) options: BitSet,
    /// Requests of the pods, without DaemonSets.
    requests: ResourceVec,
    pub(super) pods: Vec<PodId>,
    ports: Vec<HostPort>,
    pub(super) host: Host,
    held: Held,
}

/// What a claim would become with one more pod.
pub(super) struct Accepted {
    set: SetId,
    options: BitSet,
    held: Held,
    pub(super) min_values_relaxed: bool,
}

/// Why a claim or a template refused a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A taint of the NodePool is not tolerated.
    Taint,
    /// The pod's requirements do not go with the claim's.
    Requirements(Clash),
    /// No alternative of the pod's volumes goes with the claim.
    Volumes,
    /// Other pods are in the way.
    Topology(TopologyRefusal, SetId),
    /// No instance type is left; `for_ever` when the resources alone say so.
    Types { set: SetId, for_ever: bool },
    /// Too few values are left for a key with minValues.
    MinValues(SetId),
    /// Reserved capacity is not to be had at present.
    Reserved(ReservationError),
    /// The NodePool's limit on nodes is used up.
    NodeLimit,
    /// Every instance type would exceed the NodePool's limits.
    Limits,
}

/// How long a refusal holds for the same claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duration {
    /// For all pods of the variant, for ever.
    Variant,
    /// For all pods of the variant with these requests, for ever.
    Kind,
    /// For all pods of the variant, as long as the Solve lasts: other pods are in the way.
    Solve,
    /// It may accept such a pod later.
    Now,
}

impl Refusal {
    /// A claim only gets fuller and narrower, and counts on its host only grow; everything else may change.
    pub(super) fn duration(&self) -> Duration {
        match self {
            Refusal::Taint
            | Refusal::Requirements(Clash::Disjoint)
            | Refusal::Topology(TopologyRefusal::HostForever, _) => Duration::Variant,
            Refusal::Types { for_ever: true, .. } => Duration::Kind,
            _ => Duration::Now,
        }
    }
}

/// One pod that looks for a place.
pub(super) struct Seeker<'s> {
    pub(super) variant: &'s Variant,
    pub(super) requests: &'s ResourceVec,
    pub(super) demand: &'s Demand,
    pub(super) volumes: &'s VolumeDemand,
}

/// What evaluations share and remember.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) sets: RequirementSets,
    pub(super) topology: Topology,
    pub(super) masks: TypeMasks,
    pub(super) launch_orders: LaunchOrders,
    pub(super) reservations: Reservations,
    /// Reserved capacity must be used while there is some.
    pub(super) strict_reservations: bool,
}

impl InFlightClaim {
    /// An empty claim of a template, restricted to `options`.
    pub(super) fn new(template: usize, set: SetId, options: BitSet, host: Host) -> InFlightClaim {
        InFlightClaim {
            template,
            set,
            options,
            requests: ResourceVec::default(),
            pods: Vec::new(),
            ports: Vec::new(),
            host,
            held: Held::new(),
        }
    }

    /// What the claim would become with the pod, if some instance type still fits all of them. With `relax_min_values`
    /// minValues that cannot be kept are lowered.
    pub(super) fn can_add(
        &self,
        memory: &mut Memory,
        template: &Template,
        pod: &Seeker<'_>,
        relax_min_values: bool,
    ) -> Result<Accepted, Refusal> {
        const ALLOW: AllowUndefined = AllowUndefined::WellKnown;
        let (variant, wishes) = (pod.variant, &pod.variant.wishes);
        let taints = &template.spec.template.taints;
        if taint::first_untolerated(taints, &wishes.tolerations).is_some() {
            return Err(Refusal::Taint);
        }
        let base = memory.sets.join(self.set, variant.requirements, ALLOW);
        let base = base.map_err(Refusal::Requirements)?;
        let requests = self.requests.plus(pod.requests);
        let roomy = self.roomy(&requests, template, &variant.class.host_ports);
        if roomy.is_empty() && !self.pods.is_empty() {
            return Err(Refusal::Types { set: base, for_ever: true });
        }
        if pod.volumes.alternatives.is_empty() {
            return self.finish(memory, template, pod, (base, &roomy), relax_min_values);
        }
        let mut last = Refusal::Volumes;
        for alternative in &pod.volumes.alternatives {
            let tried = match memory.sets.join(base, *alternative, ALLOW) {
                Ok(set) => self.finish(memory, template, pod, (set, &roomy), relax_min_values),
                Err(_) => Err(Refusal::Volumes),
            };
            match tried {
                Ok(accepted) => return Ok(accepted),
                Err(refusal) => last = refusal,
            }
        }
        Err(last)
    }

    /// The part of [`InFlightClaim::can_add`] that depends on the alternative of the volumes: topology, instance types,
    /// minValues, reservations.
    fn finish(
        &self,
        memory: &mut Memory,
        template: &Template,
        pod: &Seeker<'_>,
        (base, roomy): (SetId, &BitSet),
        relax_min_values: bool,
    ) -> Result<Accepted, Refusal> {
        let Memory { sets, topology, masks, .. } = memory;
        let allow = AllowUndefined::WellKnown;
        let constrained = topology.constrain(sets, pod.demand, self.host, base, allow);
        let mut set = constrained.map_err(|refusal| Refusal::Topology(refusal, base))?;
        let mut options = roomy.clone();
        // The options satisfy the present requirements: only tightened ones have to be looked at again.
        if set != self.set || plain::is_on() {
            options.intersect_with(masks.get(sets, self.template, template, set));
        }
        let mut relaxed = false;
        if sets.get(set).has_min_values() {
            let ordered = template
                .groups
                .iter()
                .flat_map(|group| options.iter().filter(|i| group.types.contains(*i)));
            if let Some(unmet) = min_values::unmet(&template.types, ordered, sets.get(set)) {
                if !relax_min_values {
                    return Err(Refusal::MinValues(set));
                }
                let mut lowered = sets.get(set).clone();
                unmet.iter().for_each(|(key, found)| lowered.set_min_values(*key, *found));
                set = sets.intern(lowered);
                relaxed = true;
            }
        }
        if options.is_empty() {
            // Volumes and other pods may leave more later.
            let fixed = pod.volumes.alternatives.is_empty() && !pod.demand.is_changeable();
            return Err(Refusal::Types { set, for_ever: fixed });
        }
        let mut held = Held::new();
        if !memory.reservations.is_empty() {
            let strict = memory.strict_reservations;
            let requirements = memory.sets.get(set);
            held = memory
                .reservations
                .wanted(template, &options, requirements, &self.held, strict)
                .map_err(Refusal::Reserved)?;
        }
        Ok(Accepted { set, options, held, min_values_relaxed: relaxed })
    }

    /// The options with room for `requests` and ports. DaemonSet pods that run on a type need room too.
    fn roomy(&self, requests: &ResourceVec, template: &Template, ports: &[HostPort]) -> BitSet {
        let mut roomy = BitSet::empty(template.types.len());
        if !ports.is_empty() && port::conflict(ports, &self.ports) {
            return roomy;
        }
        for group in &template.groups {
            if port::conflict(ports, &group.ports) {
                continue;
            }
            let mut members = self.options.clone();
            if template.groups.len() > 1 {
                members.intersect_with(&group.types);
            }
            let need = requests.plus(&group.overhead);
            template.fit.keep(&mut members, &need, &template.types);
            if template.groups.len() == 1 {
                return members;
            }
            roomy.union_with(&members);
        }
        roomy
    }

    /// Takes the pod.
    pub(super) fn add(
        &mut self,
        memory: &mut Memory,
        template: &Template,
        pod: PodId,
        seeker: &Seeker<'_>,
        accepted: Accepted,
    ) {
        self.pods.push(pod);
        self.requests.add(seeker.requests);
        self.set = accepted.set;
        self.options = accepted.options;
        self.ports.extend(&seeker.variant.class.host_ports);
        let Memory { sets, topology, reservations, .. } = memory;
        let taints = &template.spec.template.taints;
        topology.record(sets, &seeker.variant.rules, taints, self.set, self.host);
        reservations.exchange(&self.held, &accepted.held);
        self.held = accepted.held;
    }

    /// The claim as planned: daemon overhead added, options by price, simulation keys dropped.
    pub(super) fn finalize(self, memory: &mut Memory, template: &Template) -> ClaimPlan {
        let alive = template.groups.iter().filter(|group| group.types.intersects(&self.options));
        // Upstream takes a list without entries for one that was not set yet.
        let mut overhead = ResourceVec::default();
        for group in alive {
            overhead = match overhead.is_empty() {
                true => group.overhead.clone(),
                false => overhead.intersected_minimum(&group.overhead),
            };
        }
        let requests = self.requests.plus(&overhead);
        let mut requirements = memory.sets.get(self.set).clone();
        for key in [label::HOSTNAME, label::REGISTERED, label::INITIALIZED] {
            requirements.remove(key);
        }
        let types = match template.reserved.filter(|_| !self.held.is_empty()) {
            Some(reserved) => {
                let ids = memory.reservations.ids(&self.held);
                require_reserved(&mut requirements, reserved, ids);
                let mut types = in_group_order(template, &self.options);
                price::order_by_price(&mut types, &template.types, &requirements);
                types
            }
            None => {
                let state = (self.template, self.set);
                memory.launch_orders.get(state, template, &self.options, &requirements)
            }
        };
        ClaimPlan {
            pool: template.pool,
            requirements,
            types,
            requests,
            pods: self.pods,
            min_values_relaxed: false,
        }
    }
}

/// A claim that holds reservations launches into one of them and nothing else.
fn require_reserved(
    requirements: &mut Requirements,
    reserved: LabelValue,
    ids: impl Iterator<Item = LabelValue>,
) {
    requirements.replace(label::CAPACITY_TYPE, Requirement::is(reserved));
    requirements.add(label::RESERVATION_ID, Requirement::new(Operator::In, ids));
}
