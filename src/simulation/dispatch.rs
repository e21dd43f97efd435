//! The single match over events: one call an arm.

use super::Simulation;
use crate::world::Event;
use crate::{karpenter, kube_scheduler, workload};

pub(super) fn dispatch(simulation: &mut Simulation, event: Event) {
    if let Event::TimelineStep(step) = event {
        return simulation.on_timeline_step(step);
    }
    if let Event::Arrival(source) = event {
        return simulation.on_arrival(source);
    }
    let Simulation { world, karpenter, scheduler, .. } = simulation;
    match event {
        Event::TimelineStep(_) | Event::Arrival(_) => {}
        Event::InstanceRunning(claim) => world.mark_instance_running(claim),
        Event::NodeAppears(claim) => {
            // An instance that was told to terminate before never joins.
            if world.cluster.claims.get(claim).is_some_and(|c| !c.is_instance_terminating()) {
                world.create_node(claim);
            }
        }
        Event::NodeReady(node) => world.set_node_ready(node),
        Event::NodeInitializable(node) => world.set_node_initializable(node),
        Event::PodStarts(pod) => world.mark_running(pod),
        Event::PodEnds(pod) => world.end_pod(pod),
        Event::PodSucceeds(pod) => world.mark_succeeded(pod),
        Event::PodStops(pod) => world.remove_pod(pod),
        Event::InstanceGone(claim) => world.mark_instance_gone(claim),
        Event::InstanceReclaimed(claim) => world.reclaim_instance(claim),
        Event::NodeLost(node) => world.set_node_lost(node),
        Event::OfferingsReturn => world.forget_unavailable(),
        Event::Prices => world.ask_prices(),
        Event::WorkloadPass => workload::on_workload_pass(world),
        Event::SchedulerPass => kube_scheduler::on_scheduler_pass(scheduler, world),
        Event::CountPools => world.count_pools(),
        Event::PodEvent(pod) => karpenter.on_pod_event(world, pod),
        Event::Lifecycle(claim) => karpenter.on_lifecycle(world, claim),
        Event::LaunchReturns(claim) => karpenter.on_launch_returns(world, claim),
        Event::Conditions(claim) => karpenter.on_conditions(world, claim),
        Event::Expiration(claim) => karpenter.on_expiration(world, claim),
        Event::Message(claim, kind) => karpenter::on_message(world, claim, kind),
        Event::Termination(node) => karpenter.on_termination(world, node),
        Event::Eviction(pod) => karpenter.on_eviction(world, pod),
        Event::Command(command) => karpenter.on_command(world, command),
        Event::Consistency(claim) => karpenter.on_consistency(world, claim),
        Event::Health(node) => karpenter.on_health(world, node),
        Event::GarbageCollection => karpenter.on_garbage_collection(world),
        Event::StaticPools => karpenter.on_static_pools(world),
        Event::PodTrigger(pod) => karpenter.on_pod_trigger(world, pod),
        Event::NodeTrigger(node) => karpenter.on_node_trigger(world, node),
        Event::CapacityBuffer(index) => karpenter.on_capacity_buffer(world, index),
        Event::BatchEnds => karpenter.on_batch_ends(world),
        Event::DisruptionLoop => karpenter.on_disruption_loop(world),
    }
}
