//! StorageClasses, PersistentVolumes and PersistentVolumeClaims.

use super::{Lot, ZONE_KEY};

/// Two classes, a volume in a zone with its claim, and a claim that waits for its first pod.
pub(super) fn objects(lot: &mut Lot, zones: &[&'static str]) -> String {
    let (zone, other) = (lot.pick(zones), lot.pick(zones));
    format!(
        "apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: disk, annotations: {{storageclass.kubernetes.io/is-default-class: \"true\"}}}}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: zonal}}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
allowedTopologies:
  - matchLabelExpressions: [{{key: {ZONE_KEY}, values: [{other}]}}]
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: old-disk}}
spec:
  csi: {{driver: ebs.csi.aws.com, volumeHandle: vol-0}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{{key: {ZONE_KEY}, operator: In, values: [{zone}]}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: old
  namespace: default
  annotations: {{pv.kubernetes.io/bind-completed: \"yes\"}}
spec: {{storageClassName: disk, volumeName: old-disk}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: new, namespace: default}}
spec: {{storageClassName: disk}}
"
    )
}

/// The volumes of a pod.
pub(super) fn volumes(lot: &mut Lot) -> String {
    let source = match lot.below(6) {
        0 => "persistentVolumeClaim: {claimName: old}".to_owned(),
        1 => "persistentVolumeClaim: {claimName: new}".to_owned(),
        2 => "emptyDir: {}".to_owned(),
        _ => {
            let class = lot.pick(&["disk", "zonal"]);
            let spec = format!("{{storageClassName: {class}}}");
            format!("ephemeral: {{volumeClaimTemplate: {{spec: {spec}}}}}")
        }
    };
    format!("      volumes: [{{name: data, {source}}}]\n")
}
