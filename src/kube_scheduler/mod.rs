//! kube_scheduler
