/** What the kubectl scenarios apply. */
export const BUSYBOX = "busybox:1.36";

/** A set of everyday things in one file, as a user keeps them. */
export const APP = `
apiVersion: v1
kind: ConfigMap
metadata: { name: app-config, labels: { app: shop } }
data: { colour: blue, size: "3" }
---
apiVersion: v1
kind: Service
metadata: { name: shop, labels: { app: shop } }
spec:
  selector: { app: shop }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop, labels: { app: shop } }
spec:
  replicas: 2
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec:
      containers:
        - name: main
          image: ${BUSYBOX}
          ports: [{ containerPort: 8080, name: http }]
          env: [{ name: COLOUR, value: blue }]
`;

export const LIST = `
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: in-list-1, labels: { list: "yes" } } }
  - { apiVersion: v1, kind: Secret, metadata: { name: in-list-2, labels: { list: "yes" } }, data: { a: Yg== } }
`;

/** Two managers want the same field. */
export const OWNED = `
apiVersion: v1
kind: ConfigMap
metadata: { name: owned }
data: { x: "1", w: "1" }
`;

/** Serves a page, ticks on stdout, and has a second container. */
export const POD = `
apiVersion: v1
kind: Pod
metadata: { name: box, labels: { app: box } }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: web
      image: ${BUSYBOX}
      command: [sh, -c, 'echo hello > /www/index.html; echo started; exec httpd -f -p 8080 -h /www']
      ports: [{ containerPort: 8080 }]
    - name: side
      image: ${BUSYBOX}
      command: [sh, -c, 'trap exit TERM; while true; do sleep 1; done']
`;

/** The request is one of openssl's, for CN=jane, O=devs. */
export const SIGNING_REQUEST = `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: csr-$NS }
spec:
  request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWU1JR0FBZ0VBTUI0eERUQUxCZ05WQkFNTUJHcGhibVV4RFRBTEJnTlZCQW9NQkdSbGRuTXdXVEFUQmdjcQpoa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVRCMDhLQWRTYks3d3NDa2NGUTcrVklIOUM3Nmx0cVJOdkMrZ00yCmRpTmR3WE14dDBJWHZTN253eUNHZUJhaTVSQU5uUTZLcWlVQm1CZnVEeDlIMVpxRm9BQXdDZ1lJS29aSXpqMEUKQXdJRFJ3QXdSQUlnT2RMVlE0RVo4RjFPMThNdWNlTENZVnp2bUZyOWUxVEtxVWpoK3FNa05JWUNJQXZVSXBVUAp4V0d1R2JLNXBQaG9vYVFWVWVJSUlTWmtTOWNqWEJzUG1UcjcKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
`;

export const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.$NS.example.com }
spec:
  group: $NS.example.com
  scope: Namespaced
  names: { plural: widgets, singular: widget, kind: Widget, shortNames: [wd] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      additionalPrinterColumns:
        - { name: Size, type: integer, jsonPath: .spec.size }
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              description: What is wanted of the widget.
              required: [size]
              properties:
                size: { type: integer, minimum: 1 }
                colour: { type: string, default: red }
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
`;

export const WIDGET = `
apiVersion: $NS.example.com/v1
kind: Widget
metadata: { name: one }
spec: { size: 3 }
`;

/** One of every kind that has a describer or a printer of its own. `$NS` where a name must be the cluster's only one. */
export const EVERY_KIND = `
apiVersion: v1
kind: ReplicationController
metadata: { name: rc }
spec: { replicas: 0, selector: { a: b }, template: { metadata: { labels: { a: b } }, spec: { containers: [{ name: c, image: ${BUSYBOX} }] } } }
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: { name: rs }
spec: { replicas: 0, selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { containers: [{ name: c, image: ${BUSYBOX} }] } } }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: sts }
spec: { replicas: 0, serviceName: s, selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { containers: [{ name: c, image: ${BUSYBOX} }] } } }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: ds }
spec: { selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { nodeSelector: { none: such }, containers: [{ name: c, image: ${BUSYBOX} }] } } }
---
apiVersion: v1
kind: PersistentVolume
metadata: { name: pv-$NS }
spec: { capacity: { storage: 1Gi }, accessModes: [ReadWriteOnce], hostPath: { path: /tmp/none }, storageClassName: sc-$NS }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: pvc }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } }, storageClassName: sc-$NS }
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: sc-$NS }
provisioner: example.com/none
---
apiVersion: v1
kind: LimitRange
metadata: { name: lr }
spec: { limits: [{ type: PersistentVolumeClaim, max: { storage: 100Gi } }] }
---
apiVersion: v1
kind: Endpoints
metadata: { name: ep }
subsets: [{ addresses: [{ ip: 10.1.2.3 }], ports: [{ port: 80 }] }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: eps }
addressType: IPv4
endpoints: [{ addresses: [10.1.2.3] }]
ports: [{ port: 80 }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: np }
spec: { podSelector: {}, policyTypes: [Ingress] }
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: ic-$NS }
spec: { controller: example.com/none }
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: { name: lease }
spec: { holderIdentity: me }
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: { name: rtc-$NS }
handler: runc
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: { name: vwc-$NS }
webhooks: []
---
apiVersion: v1
kind: PodTemplate
metadata: { name: pt }
template: { metadata: { labels: { a: b } }, spec: { containers: [{ name: c, image: ${BUSYBOX} }] } }
`;
