//! CapacityBuffers: virtual pods that take part in provisioning and never run.
//!
//! Upstream: karpenter v1.14.1 `pkg/state/virtualpods/`, `pkg/controllers/capacitybuffer/controller.go`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cluster::{Owner, Pod, PodId};
use super::{Wake, World};
use crate::engine::Timer;
use crate::kube::PodClass;
use crate::kube::capacity_buffer::{CapacityBuffer, PodShape, PodTemplate};
use crate::kube::pod::DoNotDisrupt;

/// Virtual pods are numbered from here on, apart from those that exist; low enough to key draws.
const FIRST_ORDINAL: u64 = 1 << 55;

/// A CapacityBuffer with its virtual pods.
#[derive(Clone, Debug)]
pub struct BufferState {
    /// The buffer; `None` after it was deleted.
    pub spec: Option<CapacityBuffer>,
    /// Its virtual pods, which are in no list of pods.
    pub pods: Vec<PodId>,
    /// The template that the pods were made from, and what they share.
    made_from: Option<(Arc<PodClass>, Arc<PodClass>)>,
    /// The controller's entry in its work queue.
    pub(super) timer: Option<Timer>,
}

impl World {
    /// Creates or replaces a CapacityBuffer. Karpenter does not look at them while their feature gate is off.
    pub fn put_buffer(&mut self, spec: CapacityBuffer) {
        if !self.settings.karpenter.gates.capacity_buffer {
            return;
        }
        let buffers = &mut self.cluster.capacity_buffers;
        let same = |known: &BufferState| {
            let known = known.spec.as_ref();
            known.is_some_and(|k| (&k.namespace, &k.name) == (&spec.namespace, &spec.name))
        };
        let index = buffers.iter().position(same).unwrap_or(buffers.len());
        match buffers.get_mut(index) {
            Some(known) => known.spec = Some(spec),
            None => buffers.push(BufferState {
                spec: Some(spec),
                pods: Vec::new(),
                made_from: None,
                timer: None,
            }),
        }
        self.wake(Wake::CapacityBuffer(index as u32));
    }

    /// Creates or replaces a PodTemplate; buffers that name it follow at once.
    pub fn put_pod_template(&mut self, template: PodTemplate) {
        let PodTemplate { namespace, name, template } = template;
        let named = |buffer: &BufferState| {
            let spec = buffer.spec.as_ref();
            spec.is_some_and(|spec| {
                spec.namespace == namespace && spec.shape == PodShape::PodTemplate(name.clone())
            })
        };
        let buffers = self.cluster.capacity_buffers.iter().enumerate();
        let followers: Vec<u32> =
            buffers.filter(|(_, b)| named(b)).map(|(index, _)| index as u32).collect();
        self.cluster.pod_templates.insert((namespace, name), template);
        followers.into_iter().for_each(|index| self.wake(Wake::CapacityBuffer(index)));
    }

    /// Deletes a CapacityBuffer with its virtual pods.
    pub fn remove_buffer(&mut self, namespace: &str, name: &str) {
        for index in 0..self.cluster.capacity_buffers.len() {
            let buffer = &mut self.cluster.capacity_buffers[index];
            if buffer.spec.as_ref().is_some_and(|b| (&*b.namespace, &*b.name) == (namespace, name))
            {
                buffer.spec = None;
                self.set_virtual_pods(index, 0);
            }
        }
    }

    /// Makes the virtual pods of a buffer anew. `false` when there is no such buffer, or its template or workload does
    /// not exist.
    pub fn resolve_buffer(&mut self, index: u32) -> bool {
        let index = index as usize;
        let cluster = &self.cluster;
        let Some(spec) = cluster.capacity_buffers.get(index).and_then(|b| b.spec.as_ref()) else {
            return false;
        };
        let found = match &spec.shape {
            PodShape::PodTemplate(name) => {
                let key = (spec.namespace.clone(), name.clone());
                cluster.pod_templates.get(&key).map(|template| (template, None))
            }
            PodShape::Deployment(name) => {
                let deployment = cluster.find_deployment(&spec.namespace, name);
                deployment.map(|index| {
                    let state = &cluster.deployments[index];
                    (&state.spec.template, Some(state.replicas))
                })
            }
        };
        let Some((template, scaled)) = found else {
            self.set_virtual_pods(index, 0);
            return false;
        };
        let count = spec.desired(scaled, &template.requests) as usize;
        let made_from = self.cluster.capacity_buffers[index].made_from.as_ref();
        if made_from.is_none_or(|(known, _)| !Arc::ptr_eq(known, template)) {
            let made_from = (template.clone(), Arc::new(spec.virtual_class(template)));
            self.set_virtual_pods(index, 0);
            self.cluster.capacity_buffers[index].made_from = Some(made_from);
        }
        self.set_virtual_pods(index, count);
        // The pods are new ones each time.
        let now = self.now();
        for id in self.cluster.capacity_buffers[index].pods.clone() {
            self.cluster.pods[id].created_at = now;
        }
        true
    }

    fn set_virtual_pods(&mut self, index: usize, count: usize) {
        while self.cluster.capacity_buffers[index].pods.len() > count {
            if let Some(id) = self.cluster.capacity_buffers[index].pods.pop() {
                self.cluster.pods.remove(id);
            }
        }
        let buffer = &self.cluster.capacity_buffers[index];
        let Some((_, class)) = buffer.made_from.clone() else {
            return;
        };
        for number in buffer.pods.len()..count {
            let pod = self.virtual_pod(index, number, &class);
            let id = self.cluster.pods.insert(pod);
            self.cluster.capacity_buffers[index].pods.push(id);
        }
    }

    fn virtual_pod(&self, index: usize, number: usize, class: &Arc<PodClass>) -> Pod {
        let ordinal = FIRST_ORDINAL + ((index as u64) << 32) + number as u64;
        let spec = self.cluster.capacity_buffers[index].spec.as_ref();
        let name = spec.map_or("", |spec| &*spec.name);
        let name = format!("capacity-buffer-{name}-{}", number + 1).into();
        Pod {
            uid: self.pod_uid(ordinal, (ordinal, 0)),
            unschedulable: true,
            do_not_disrupt: DoNotDisrupt::No,
            ..Pod::new(ordinal, name, class.clone(), Owner::Buffer, self.now())
        }
    }

    /// The last provisioning pass put virtual pods on the nodes of these NodeClaims, given by ordinal.
    pub fn set_buffer_hosts(&mut self, hosts: BTreeSet<u64>) {
        self.cluster.buffer_hosts = hosts;
    }
}
