/**
 * What each controller may do when it runs on its own, as Kubernetes 1.36 has it: one ClusterRole
 * `system:controller:NAME` each, bound to the ServiceAccount `kube-system/NAME`. Only of controllers that are here or
 * whose work is done here.
 */
import { EMIT, READ, READ_UPDATE, type Row } from "./rule-rows.ts";

const EVENTS: Row = [EMIT, "core events.k8s.io", "events"];

export const controllerRoleRows: Readonly<Record<string, readonly Row[]>> = {
  "certificate-controller": [
    ["delete get list watch", "certificates.k8s.io", "certificatesigningrequests"],
    ["update", "certificates.k8s.io", "certificatesigningrequests/approval certificatesigningrequests/status"],
    ["approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"],
    // Not Kubernetes': there a person approves what a node serves with.
    ["approve", "certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving"],
    [
      "sign",
      "certificates.k8s.io",
      "signers",
      "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet",
    ],
    ["sign", "certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown"],
    ["create", "authorization.k8s.io", "subjectaccessreviews"],
    EVENTS,
  ],
  "clusterrole-aggregation-controller": [
    ["escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles"],
  ],
  // Not of Kubernetes: it writes templates and nothing else.
  "config-rollout-controller": [
    ["get list patch watch", "apps", "daemonsets deployments statefulsets"],
    [READ, "core", "configmaps secrets"],
    EVENTS,
  ],
  "cronjob-controller": [
    ["get list update watch", "batch", "cronjobs"],
    ["create delete get list patch update watch", "batch", "jobs"],
    ["update", "batch", "cronjobs/status"],
    ["update", "batch", "cronjobs/finalizers"],
    ["delete list watch", "core", "pods"],
    EVENTS,
  ],
  "daemon-set-controller": [
    [READ, "apps extensions", "daemonsets"],
    ["update", "apps extensions", "daemonsets/status"],
    ["update", "apps extensions", "daemonsets/finalizers"],
    ["list watch", "core", "nodes"],
    ["create delete list patch watch", "core", "pods"],
    ["create", "core", "pods/binding"],
    ["create delete get list patch update watch", "apps", "controllerrevisions"],
    EVENTS,
  ],
  "deployment-controller": [
    ["get list update watch", "apps extensions", "deployments"],
    ["update", "apps extensions", "deployments/status"],
    ["update", "apps extensions", "deployments/finalizers"],
    ["create delete get list patch update watch", "apps extensions", "replicasets"],
    ["get list update watch", "core", "pods"],
    EVENTS,
  ],
  "disruption-controller": [
    [READ, "apps extensions", "deployments"],
    [READ, "apps extensions", "replicasets"],
    [READ, "core", "replicationcontrollers"],
    [READ, "policy", "poddisruptionbudgets"],
    [READ, "apps", "statefulsets"],
    ["update", "policy", "poddisruptionbudgets/status"],
    ["patch update", "core", "pods/status"],
    ["get", "*", "*/scale"],
    EVENTS,
  ],
  "endpoint-controller": [
    [READ, "core", "pods services"],
    ["create delete get list update watch", "core", "endpoints"],
    ["create", "core", "endpoints/restricted"],
    EVENTS,
  ],
  "endpointslice-controller": [
    [READ, "core", "nodes pods services"],
    ["update", "core", "services/finalizers"],
    ["create delete get list update watch", "discovery.k8s.io", "endpointslices"],
    EVENTS,
  ],
  "generic-garbage-collector": [["delete get list patch update watch", "*", "*"], EVENTS],
  "horizontal-pod-autoscaler": [
    [READ, "autoscaling", "horizontalpodautoscalers"],
    ["update", "autoscaling", "horizontalpodautoscalers/status"],
    ["get update", "*", "*/scale"],
    ["list watch", "core", "pods"],
    ["list watch", "metrics.k8s.io", "pods"],
    [READ, "custom.metrics.k8s.io", "*"],
    [READ, "external.metrics.k8s.io", "*"],
    EVENTS,
  ],
  // Not of Kubernetes: the ingress proxy of a node.
  "ingress-controller": [
    [READ, "networking.k8s.io", "ingresses"],
    ["create get list watch", "networking.k8s.io", "ingressclasses"],
    ["update", "networking.k8s.io", "ingresses/status"],
    ["list watch", "core", "nodes secrets services"],
    ["list watch", "discovery.k8s.io", "endpointslices"],
    EVENTS,
  ],
  "job-controller": [
    [READ_UPDATE, "batch", "jobs"],
    ["update", "batch", "jobs/status"],
    ["update", "batch", "jobs/finalizers"],
    ["create delete list patch watch", "core", "pods"],
    EVENTS,
  ],
  "namespace-controller": [
    ["delete get list watch", "core", "namespaces"],
    ["update", "core", "namespaces/finalize namespaces/status"],
    ["delete deletecollection get list watch", "*", "*"],
  ],
  "node-controller": [
    ["delete get list patch update watch", "core", "nodes"],
    ["patch update", "core", "nodes/status"],
    ["patch update", "core", "pods/status"],
    ["delete get list watch", "core", "pods"],
    EVENTS,
  ],
  // Not of Kubernetes: the service proxy, the policies and the DNS of a node.
  "node-network": [
    ["list watch", "core", "namespaces nodes pods"],
    ["create get list watch", "core", "services"],
    ["list watch", "core", "configmaps", "mini-kube-dns"],
    ["create get list patch update watch", "discovery.k8s.io", "endpointslices"],
    ["list watch", "networking.k8s.io", "networkpolicies"],
    ["create get list patch watch", "coordination.k8s.io", "leases"],
    EVENTS,
  ],
  "persistent-volume-binder": [
    ["create delete get list update watch", "core", "persistentvolumes"],
    ["update", "core", "persistentvolumes/status"],
    ["get list update watch", "core", "persistentvolumeclaims"],
    ["update", "core", "persistentvolumeclaims/status"],
    ["create delete get list watch", "core", "pods"],
    [READ, "storage.k8s.io", "storageclasses"],
    ["list watch", "core", "nodes"],
    EVENTS,
    ["watch", "core", "events"],
  ],
  "pod-garbage-collector": [
    ["delete list watch", "core", "pods"],
    [READ, "core", "nodes"],
    ["patch", "core", "pods/status"],
  ],
  "pv-protection-controller": [["get list update watch", "core", "persistentvolumes"], EVENTS],
  "pvc-protection-controller": [
    ["get list update watch", "core", "persistentvolumeclaims"],
    ["update", "core", "persistentvolumeclaims/status"],
    [READ, "core", "pods"],
    EVENTS,
  ],
  "replicaset-controller": [
    ["get list update watch", "apps extensions", "replicasets"],
    ["update", "apps extensions", "replicasets/status"],
    ["update", "apps extensions", "replicasets/finalizers"],
    ["create delete list patch watch", "core", "pods"],
    EVENTS,
  ],
  "replication-controller": [
    ["get list update watch", "core", "replicationcontrollers"],
    ["update", "core", "replicationcontrollers/status"],
    ["update", "core", "replicationcontrollers/finalizers"],
    ["create delete list patch watch", "core", "pods"],
    EVENTS,
  ],
  "resourcequota-controller": [["list watch", "*", "*"], ["update", "core", "resourcequotas/status"], EVENTS],
  "root-ca-cert-publisher": [["create update", "core", "configmaps"], EVENTS],
  "service-account-controller": [["create", "core", "serviceaccounts"], EVENTS],
  "service-controller": [
    [READ, "core", "services"],
    ["patch update", "core", "services/status"],
    ["list watch", "core", "nodes"],
    EVENTS,
  ],
  "statefulset-controller": [
    ["list watch", "core", "pods"],
    [READ, "apps", "statefulsets"],
    ["update", "apps", "statefulsets/status"],
    ["update", "apps", "statefulsets/finalizers"],
    ["create delete get patch update", "core", "pods"],
    ["create delete get list patch update watch", "apps", "controllerrevisions"],
    ["create get list watch", "core", "persistentvolumeclaims"],
    ["delete update", "core", "persistentvolumeclaims"],
    ["update", "core", "pods/finalizers"],
    EVENTS,
  ],
  // Not of Kubernetes: who writes a Template needs all that it reads and writes (admission/template-rights.ts).
  "template-controller": [
    [READ, "*", "*"],
    ["create update", "core", "configmaps secrets"],
    ["update", "mini-kube.io", "templates/status"],
    // The definition of Templates itself.
    ["create", "apiextensions.k8s.io", "customresourcedefinitions"],
    ["patch", "apiextensions.k8s.io", "customresourcedefinitions", "templates.mini-kube.io"],
    EVENTS,
  ],
  "ttl-after-finished-controller": [["delete get list watch", "batch", "jobs"], EVENTS],
  "ttl-controller": [["list patch update watch", "core", "nodes"], EVENTS],
  // Not in Kubernetes itself: the autoscaler project runs it on its own.
  "vertical-pod-autoscaler": [
    [READ, "autoscaling.k8s.io", "verticalpodautoscalers"],
    ["update", "autoscaling.k8s.io", "verticalpodautoscalers/status"],
    ["patch", "core", "pods/resize"],
    ["create get list update", "autoscaling.k8s.io", "verticalpodautoscalercheckpoints"],
    ["list watch", "core", "pods"],
    ["list watch", "apps", "replicasets"],
    ["list watch", "batch", "jobs"],
    ["create", "core", "pods/eviction"],
    ["list", "metrics.k8s.io", "pods"],
    EVENTS,
  ],
};
