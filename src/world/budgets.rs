//! PodDisruptionBudgets and the pods that they are about. Each pod knows its budgets, each budget counts its pods, so
//! that neither has to be searched for.

use super::World;
use super::cluster::{BudgetState, Cluster, Owner, Pod, PodId};
use crate::kube::disruption_budget::{DisruptionBudget, Selected};

impl World {
    /// Creates a PodDisruptionBudget, or replaces the one of that namespace and name.
    pub fn put_budget(&mut self, spec: DisruptionBudget) {
        let same = |state: &BudgetState| {
            (&state.spec.namespace, &state.spec.name) == (&spec.namespace, &spec.name)
        };
        let cluster = &mut self.cluster;
        match cluster.disruption_budgets.iter().position(same) {
            Some(index) => cluster.disruption_budgets[index].spec = spec,
            None => cluster.disruption_budgets.push(BudgetState::new(spec)),
        }
        self.index_budgets();
    }

    /// Removes a PodDisruptionBudget.
    pub fn remove_budget(&mut self, namespace: &str, name: &str) {
        self.cluster.disruption_budgets.retain(|state| {
            (state.spec.namespace.as_ref(), state.spec.name.as_ref()) != (namespace, name)
        });
        self.index_budgets();
    }

    /// Matches all pods and Deployments with all budgets anew. Needed when either the budgets or a template changed.
    pub fn index_budgets(&mut self) {
        let cluster = &mut self.cluster;
        for state in &mut cluster.disruption_budgets {
            state.selected = Selected::default();
            let matching = cluster.deployments.iter().enumerate();
            state.deployments = matching
                .filter(|(_, deployment)| state.spec.selects(&deployment.spec.template))
                .map(|(index, _)| index)
                .collect();
        }
        let ids: Vec<PodId> = cluster.pods_by_ordinal.values().copied().collect();
        for id in ids {
            self.cluster.count_pod(id);
        }
    }
}

impl Cluster {
    /// Finds a pod's budgets and counts the pod in them.
    pub(super) fn count_pod(&mut self, id: PodId) {
        let Some(pod) = self.pods.get_mut(id) else {
            return;
        };
        let budgets = self.disruption_budgets.iter().enumerate();
        pod.budgets = budgets
            .filter(|(_, state)| state.spec.selects(&pod.class))
            .map(|(index, _)| index as u32)
            .collect();
        for index in &pod.budgets {
            let selected = &mut self.disruption_budgets[*index as usize].selected;
            selected.pods += 1;
            selected.unscaled += i64::from(is_unscaled(pod));
            selected.healthy += i64::from(pod.is_healthy());
        }
    }

    /// Takes a pod that is about to be removed out of its budgets' counts.
    pub(super) fn uncount_pod(&mut self, pod: &Pod) {
        for index in &pod.budgets {
            let selected = &mut self.disruption_budgets[*index as usize].selected;
            selected.pods -= 1;
            selected.unscaled -= i64::from(is_unscaled(pod));
            selected.healthy -= i64::from(pod.is_healthy());
        }
    }

    /// A pod became healthy, or ceased to be.
    pub(super) fn count_health(&mut self, id: PodId, by: i64) {
        for index in &self.pods[id].budgets {
            self.disruption_budgets[*index as usize].selected.healthy += by;
        }
    }
}

const fn is_unscaled(pod: &Pod) -> bool {
    !matches!(pod.owner, Owner::Deployment(_))
}
