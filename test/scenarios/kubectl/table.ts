/**
 * What kubectl's users type and what they see, the same for every version unless said otherwise. Each group builds on the
 * ones before it.
 */
import type { Step } from "../../harness/command-table.ts";
import { BUSYBOX } from "./manifests.ts";

/** Typed creators: from 1.32 on kubectl sends them as protobuf. */
export const CREATE: readonly Step[] = [
  ["create configmap cm1 --from-literal=a=1 --from-literal=b=2", "configmap/cm1 created\n"],
  ["create configmap cm1", /^error: failed to create configmap: configmaps "cm1" already exists/, 1],
  ["create secret generic s1 --from-literal=password=hunter2", "secret/s1 created\n"],
  [
    "create secret docker-registry reg --docker-server=r.example --docker-username=u --docker-password=p",
    "secret/reg created\n",
  ],
  [`create deployment web --image=${BUSYBOX} --replicas=2 -- sleep 3600`, "deployment.apps/web created\n"],
  ["create serviceaccount robot", "serviceaccount/robot created\n"],
  [
    "create role reader --verb=get,list,watch --resource=configmaps,deployments.apps",
    "role.rbac.authorization.k8s.io/reader created\n",
  ],
  [
    "create rolebinding readers --role=reader --serviceaccount=$NS:robot",
    "rolebinding.rbac.authorization.k8s.io/readers created\n",
  ],
  ["create clusterrole cr-$NS --verb=get --resource=nodes", "clusterrole.rbac.authorization.k8s.io/cr-$NS created\n"],
  [
    "create clusterrolebinding crb-$NS --clusterrole=cr-$NS --user=jane",
    "clusterrolebinding.rbac.authorization.k8s.io/crb-$NS created\n",
  ],
  ["create quota q --hard=pods=20,configmaps=50", "resourcequota/q created\n"],
  [`create job once --image=${BUSYBOX} -- true`, "job.batch/once created\n"],
  [`create cronjob tick --image=${BUSYBOX} --schedule='0 0 1 1 *' -- date`, "cronjob.batch/tick created\n"],
  ["create job from-cron --from=cronjob/tick", "job.batch/from-cron created\n"],
  ["create service clusterip svc --tcp=80:8080", "service/svc created\n"],
  ["create service nodeport np --tcp=80:8080", "service/np created\n"],
  ["create service externalname ext --external-name=example.com", "service/ext created\n"],
  ["create ingress ing --rule=shop.example/*=svc:80", "ingress.networking.k8s.io/ing created\n"],
  ["create poddisruptionbudget pdb --selector=app=web --min-available=1", "poddisruptionbudget.policy/pdb created\n"],
  ["create priorityclass pc-$NS --value=1000", "priorityclass.scheduling.k8s.io/pc-$NS created\n"],
  ["autoscale deployment web --min=1 --max=3", "horizontalpodautoscaler.autoscaling/web autoscaled\n"],
  ["expose deployment web --port=80 --name=exposed", "service/exposed exposed\n"],
  [
    `run idle --image=${BUSYBOX} --restart=Never --labels=app=idle --overrides='{"spec":{"nodeSelector":{"none":"such"}}}' -- sleep 1`,
    "pod/idle created\n",
  ],
  ["create configmap dry --from-literal=a=1 --dry-run=server -o name", "configmap/dry\n"],
  ["get configmap dry", /configmaps "dry" not found/, 1],
];

export const GET: readonly Step[] = [
  ["get cm cm1", /^NAME\s+DATA\s+AGE\ncm1\s+2\s+\d+s\n$/],
  [
    "get deployment web -o wide",
    /^NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\s+CONTAINERS\s+IMAGES\s+SELECTOR\nweb\s+[012]\/2\s+[012]\s+[012]\s+\S+\s+busybox\s+busybox:1.36\s+app=web\n$/,
  ],
  [
    "get svc svc",
    /^NAME\s+TYPE\s+CLUSTER-IP\s+EXTERNAL-IP\s+PORT\(S\)\s+AGE\nsvc\s+ClusterIP\s+\d+\.\d+\.\d+\.\d+\s+<none>\s+80\/TCP\s+/,
  ],
  [
    "get svc ext np",
    /ext\s+ExternalName\s+<none>\s+example.com\s+<none>[\s\S]*np\s+NodePort\s+\S+\s+<none>\s+80:3\d{4}\/TCP/,
  ],
  ["get job once", /^NAME\s+(STATUS\s+)?COMPLETIONS\s+DURATION\s+AGE\nonce\s+(Running\s+|Complete\s+)?[01]\/1\s+/],
  [
    "get cj tick",
    /^NAME\s+SCHEDULE\s+(TIMEZONE\s+)?SUSPEND\s+ACTIVE\s+LAST SCHEDULE\s+AGE\ntick\s+0 0 1 1 \*\s+(<none>\s+)?False\s+0\s+<none>/,
  ],
  ["get ing ing", /^NAME\s+CLASS\s+HOSTS\s+ADDRESS\s+PORTS\s+AGE\ning\s+mini-kube\s+shop.example\s+(\S+\s+)?80\s+/],
  ["get pdb pdb", /^NAME\s+MIN AVAILABLE\s+MAX UNAVAILABLE\s+ALLOWED DISRUPTIONS\s+AGE\npdb\s+1\s+N\/A\s+\d\s+/],
  [
    "get hpa web",
    /^NAME\s+REFERENCE\s+TARGETS\s+MINPODS\s+MAXPODS\s+REPLICAS\s+AGE\nweb\s+Deployment\/web\s+.*1\s+3\s+\d\s+/,
  ],
  ["get pc pc-$NS", /VALUE\s+GLOBAL-DEFAULT[\s\S]*1000\s+false/],
  ["get quota q", /^NAME\s+(AGE\s+)?REQUEST/],
  [
    "get role,rolebinding",
    /role\.rbac\.authorization\.k8s\.io\/reader\s+[\s\S]*rolebinding\.rbac\.authorization\.k8s\.io\/readers\s+Role\/reader/,
  ],
  ["get secret s1 -o jsonpath={.data.password}", "aHVudGVyMg=="],
  ["get secret s1 -o go-template={{.type}}", "Opaque"],
  ["get cm cm1 -o custom-columns=N:.metadata.name,A:.data.a", "N     A\ncm1   1\n"],
  ["get cm cm1 -o name", "configmap/cm1\n"],
  ["get cm cm1 -o yaml", /^apiVersion: v1\ndata:\n {2}a: "1"\n {2}b: "2"\nkind: ConfigMap\nmetadata:\n/],
  ["get cm cm1 -o json --show-managed-fields", /"manager": "kubectl-create"/],
  ["get cm,secret -o name --sort-by=.metadata.name", /configmap\/cm1\n(.*\n)*secret\/reg\nsecret\/s1\n$/],
  ["get cm -A --field-selector=metadata.name=cm1,metadata.namespace=$NS --no-headers", /^\$NS\s+cm1\s+2\s+\d+s\n$/],
  ["get deploy -l app=web -L app --no-headers", /^web\s.*\sweb\n$/],
  ["get deploy -l 'app in (web,shop),app!=shop' -o name", "deployment.apps/web\n"],
  ["get pods idle --show-labels", /LABELS\nidle\s+0\/1\s+Pending\s+0\s+\S+\s+app=idle\n$/],
  [
    "get all",
    /pod\/idle[\s\S]*service\/svc[\s\S]*deployment\.apps\/web[\s\S]*horizontalpodautoscaler\.autoscaling\/web[\s\S]*cronjob\.batch\/tick[\s\S]*job\.batch\/once/,
  ],
  ["get pod nope", /^Error from server \(NotFound\): pods "nope" not found\n$/, 1],
  ["get nope", /^error: the server doesn't have a resource type "nope"\n$/, 1],
  ["get cm -l =bad=", /found '=', expected: !, identifier, or 'end of string'/, 1],
  ["get pods --field-selector=spec.nope=1", /field label not supported/, 1],
  ["get --raw /version", /"gitVersion": ?"v1\.\d+/],
  ["get --raw /livez/ping", "ok"],
  ["get --raw /api/v1/namespaces/$NS/configmaps/cm1", /"name":"cm1"/],
  ["events", /LAST SEEN|No events/],
];

export const MODIFY: readonly Step[] = [
  ["label cm cm1 tier=front", "configmap/cm1 labeled\n"],
  ["label cm cm1 tier=back", /already has a value \(front\), and --overwrite is false/, 1],
  ["label cm cm1 tier=back --overwrite", "configmap/cm1 labeled\n"],
  ["label cm cm1 tier-", "configmap/cm1 unlabeled\n"],
  ["annotate cm cm1 note=hello", /^configmap\/cm1 annotated?\n$/],
  ["label cm cm1 bad=-value-", /a valid label must be an empty string or consist of alphanumeric characters/, 1],
  ['patch cm cm1 --type=merge -p \'{"data":{"a":null,"c":"3"}}\'', "configmap/cm1 patched\n"],
  [
    'patch cm cm1 --type=json -p \'[{"op":"test","path":"/data/c","value":"3"},{"op":"add","path":"/data/d","value":"4"}]\'',
    "configmap/cm1 patched\n",
  ],
  ['patch cm cm1 --type=json -p \'[{"op":"test","path":"/data/c","value":"9"}]\'', /testing value \/data\/c failed/, 1],
  ['patch cm cm1 -p \'{"data":{"c":"3"}}\'', "configmap/cm1 patched (no change)\n"],
  ["get cm cm1 -o jsonpath={.data}", '{"b":"2","c":"3","d":"4"}'],
  ["scale deployment web --replicas=3", "deployment.apps/web scaled\n"],
  ["scale deployment web --current-replicas=9 --replicas=1", /Expected replicas to be 9, was 3/, 1],
  ['patch deployment web --subresource=scale --type=merge -p \'{"spec":{"replicas":4}}\'', /scaled|patched/],
  ["get deployment web --subresource=scale -o jsonpath={.spec.replicas}", "4"],
  ["rollout status deployment/web --timeout=60s", /successfully rolled out/],
  ["set image deployment/web busybox=busybox:1.37", "deployment.apps/web image updated\n"],
  ["set env deployment/web A=b", "deployment.apps/web env updated\n"],
  ["set resources deployment/web --limits=memory=64Mi", "deployment.apps/web resource requirements updated\n"],
  ["set serviceaccount deployment web robot", "deployment.apps/web serviceaccount updated\n"],
  [
    "get deployment web -o jsonpath={.spec.template.spec.containers[0].image},{.metadata.generation}",
    /^busybox:1.37,[678]$/,
  ],
  ["rollout pause deployment/web", "deployment.apps/web paused\n"],
  ["rollout pause deployment/web", /is already paused/, 1],
  ["rollout resume deployment/web", "deployment.apps/web resumed\n"],
  ["rollout restart deployment/web", "deployment.apps/web restarted\n"],
  ["rollout status deployment/web --watch=false", /Waiting for deployment/],
  ["rollout history deployment/web", /REVISION\s+CHANGE-CAUSE\n1\s+<none>\n/],
  ["rollout undo deployment/web --to-revision=1", "deployment.apps/web rolled back\n"],
  ["rollout status deployment/web --timeout=60s", /successfully rolled out/],
  ["wait cm/cm1 --for=jsonpath={.data.b}=2 --timeout=5s", "configmap/cm1 condition met\n"],
  ["wait job/once --for=condition=Complete --timeout=60s", "job.batch/once condition met\n"],
  ["wait deploy/web --for=condition=Nonsense --timeout=200ms", /timed out waiting for the condition/, 1],
];

export const AUTH: readonly Step[] = [
  ["auth can-i create pods", "yes\n"],
  ["auth can-i list configmaps --as=system:serviceaccount:$NS:robot", "yes\n"],
  ["auth can-i delete configmaps --as=system:serviceaccount:$NS:robot", "no\n", 1],
  ["auth can-i get nodes --as=jane", /^yes$/m],
  ["auth can-i get configmaps/cm1 --as=nobody", /^no/, 1],
  ["auth can-i --list --as=system:serviceaccount:$NS:robot", /configmaps\s+\[\]\s+\[\]\s+\[get list watch\]/],
  ["auth can-i --list", /\*\.\*\s+\[\]\s+\[\]\s+\[\*\]/],
  ["create token robot", /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n?$/],
  ["get cm cm1 -o name --as=system:serviceaccount:$NS:robot", "configmap/cm1\n"],
  [
    "get secrets --as=system:serviceaccount:$NS:robot",
    /^Error from server \(Forbidden\): secrets is forbidden: User "system:serviceaccount:\$NS:robot" cannot list resource "secrets" in API group "" in the namespace "\$NS"\n$/,
    1,
  ],
];

/** From 1.28 on: 1.27 asks for versions of the review that 1.36 no longer serves. */
export const WHOAMI: readonly Step[] = [
  ["auth whoami -o jsonpath={.status.userInfo.username}", "kubernetes-admin"],
  [
    "auth whoami --as=jane --as-group=devs -o jsonpath={.status.userInfo.username}{.status.userInfo.groups}",
    /^jane\["devs","system:authenticated"\]$/,
  ],
];

export const APPLY: readonly Step[] = [
  ["apply -f app.yaml", "configmap/app-config created\nservice/shop created\ndeployment.apps/shop created\n"],
  ["apply -f app.yaml", "configmap/app-config unchanged\nservice/shop unchanged\ndeployment.apps/shop unchanged\n"],
  ["diff -f app.yaml", ""],
  ["diff -f app2.yaml", /-\s+value: blue\n\+\s+value: red/, 1],
  ["apply -f app2.yaml --dry-run=server", /deployment.apps\/shop configured \(server dry run\)/],
  ["apply -f app2.yaml --dry-run=client", /deployment.apps\/shop configured \(dry run\)/],
  ["get deploy shop -o jsonpath={.spec.template.spec.containers[0].env[0].value}", "blue"],
  [
    "apply -f app2.yaml",
    /configmap\/app-config configured\nservice\/shop unchanged\ndeployment.apps\/shop configured\n/,
  ],
  ["get cm app-config -o jsonpath={.data}", '{"colour":"red"}'],
  ["apply view-last-applied cm/app-config", /colour: red/],
  ["apply -f list.yaml", "configmap/in-list-1 created\nsecret/in-list-2 created\n"],
  ["apply -f list.yaml", "configmap/in-list-1 unchanged\nsecret/in-list-2 unchanged\n"],
  ["apply -k .", /configmap\/kustomized-\w+ created/],
  ["apply --server-side --field-manager=first -f owned.yaml", "configmap/owned serverside-applied\n"],
  ["apply --server-side --field-manager=first -f owned.yaml", "configmap/owned serverside-applied\n"],
  ["apply --server-side --field-manager=second -f owned2.yaml", /conflict[\s\S]*"first"[\s\S]*\.data\.x/, 1],
  [
    "apply --server-side --field-manager=second --force-conflicts -f owned2.yaml",
    "configmap/owned serverside-applied\n",
  ],
  ["get cm owned -o jsonpath={.data}", '{"w":"1","x":"2"}'],
  ["apply --server-side --field-manager=second -f owned3.yaml", "configmap/owned serverside-applied\n"],
  ["get cm owned -o jsonpath={.data}", '{"w":"1","z":"3"}'],
  ["diff --server-side --field-manager=second -f owned3.yaml", ""],
  [
    "apply --server-side -f app2.yaml",
    /configmap\/app-config serverside-applied\nservice\/shop serverside-applied\ndeployment.apps\/shop serverside-applied\n/,
  ],
  ["get cm app-config -o json --show-managed-fields", /"manager": "kubectl",\n\s+"operation": "Apply"/],
  ["replace -f app.yaml", "configmap/app-config replaced\nservice/shop replaced\ndeployment.apps/shop replaced\n"],
  ["replace --force -f owned.yaml", /configmap "owned" deleted[\s\S]*configmap\/owned replaced/],
  ["create -f owned.yaml", /configmaps "owned" already exists/, 1],
  ["edit cm app-config", "configmap/app-config edited\n"],
  ["get cm app-config -o jsonpath={.data.colour}", "green"],
];

export const CUSTOM: readonly Step[] = [
  ["apply -f crd.yaml", /customresourcedefinition.apiextensions.k8s.io\/widgets.\$NS.example.com created/],
  ["wait crd/widgets.$NS.example.com --for=condition=Established --timeout=20s", /condition met/],
  ["apply -f widget.yaml", /widget.\$NS.example.com\/one created/],
  ["apply -f widget.yaml", /widget.\$NS.example.com\/one unchanged/],
  ["get widgets.$NS.example.com", /^NAME\s+SIZE\none\s+3\n$/],
  ["get widgets.$NS.example.com one -o jsonpath={.spec.colour}", "red"],
  ["explain widgets.spec --api-version=$NS.example.com/v1", /What is wanted of the widget[\s\S]*size\s+<integer>/],
  [
    'patch widgets.$NS.example.com one --type=merge -p \'{"spec":{"size":0}}\'',
    /spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1/,
    1,
  ],
  ["label widgets.$NS.example.com one a=b", /labeled/],
  ["describe widgets.$NS.example.com one", /Kind:\s+Widget[\s\S]*Size:\s+3/],
  [
    "api-resources --api-group=$NS.example.com --no-headers",
    /^widgets\s+wd\s+\$NS.example.com\/v1\s+true\s+Widget\s*$/m,
  ],
  ["delete crd widgets.$NS.example.com", /deleted/],
  ["get widgets.$NS.example.com", /the server doesn't have a resource type|could not find the requested resource/, 1],
];

export const DELETE: readonly Step[] = [
  ["delete cm cm1", /^configmap "cm1" deleted/],
  ["delete cm cm1", /^Error from server \(NotFound\): configmaps "cm1" not found/, 1],
  ["delete cm cm1 --ignore-not-found", ""],
  ["delete cm,secret -l list=yes", /configmap "in-list-1" deleted[\s\S]*secret "in-list-2" deleted/],
  ["delete deployment web --cascade=foreground", /deployment.apps "web" deleted/],
  ["delete deployment shop --cascade=orphan", /deployment.apps "shop" deleted/],
  ["delete job once from-cron --cascade=background", /job.batch "once" deleted/],
  ["delete pod idle --now", /pod "idle" (force )?deleted/],
  ["delete svc svc --wait=false", /service "svc" deleted/],
  ["delete cronjob --all", /cronjob.batch "tick" deleted/],
];

export const NODE: readonly Step[] = [
  ["cordon node-1", /node\/node-1 (already )?cordoned/],
  ["get node node-1", /Ready,SchedulingDisabled/],
  ["uncordon node-1", /node\/node-1 (already )?uncordoned/],
  ["taint node node-1 key-$NS=v:PreferNoSchedule", /node\/node-1 tainted/],
  ["taint node node-1 key-$NS-", /node\/node-1 untainted/],
  ["describe node node-1", /Taints:\s+<none>[\s\S]*Capacity:[\s\S]*Allocated resources:/],
  ["cluster-info", /Kubernetes control plane.* is running at .*https:\/\/127\.0\.0\.1/],
  ["version -o json", /"serverVersion"[\s\S]*"gitVersion": "v1\.36/],
  ["api-versions", /^admissionregistration.k8s.io\/v1\n[\s\S]*\napps\/v1\n[\s\S]*\nv1\n/],
  [
    "api-resources --verbs=list --namespaced=false -o name",
    /^componentstatuses\nnamespaces\nnodes\npersistentvolumes\n/,
  ],
  [
    "api-resources -o wide --api-group=apps",
    /deployments\s+deploy\s+apps\/v1\s+true\s+Deployment\s+create,delete,deletecollection,get,list,patch,update,watch\s+all/,
  ],
];

export const CERTIFICATE: readonly Step[] = [
  ["apply -f csr.yaml", "certificatesigningrequest.certificates.k8s.io/csr-$NS created\n"],
  [
    "get csr csr-$NS",
    /SIGNERNAME\s+REQUESTOR[\s\S]*kubernetes.io\/kube-apiserver-client\s+kubernetes-admin\s+<none>\s+Pending\n$/,
  ],
  ["certificate approve csr-$NS", "certificatesigningrequest.certificates.k8s.io/csr-$NS approved\n"],
  ["get csr csr-$NS --no-headers", /\sApproved/],
  ["certificate deny csr-$NS", /./, 1],
  ["delete csr csr-$NS", /deleted/],
];

/** A Pod `box` runs. */
export const STREAMS: readonly Step[] = [
  ["logs box -c web", "started\n"],
  ["logs box", /started|Defaulted container "web"/],
  ["exec box -c web -- sh -c 'echo out; echo err >&2; exit 3'", /^out\n(err\n)?[\s\S]*exit code 3/, 3],
  ["exec box -c side -- cat /none", /No such file/, 1],
  ["exec box -c nope -- true", /container nope (is not valid|not found) (for|in) pod box/i, 1],
  ["exec nope -- true", /pods "nope" not found/, 1],
  ["cp cp.txt box:/tmp/copied -c side", ""],
  ["exec box -c side -- cat /tmp/copied", "to be copied\n"],
  ["cp box:/tmp/copied back.txt -c side", /^(tar: .*\n)?$/],
  ["get --raw /api/v1/namespaces/$NS/pods/box:8080/proxy/index.html", "hello\n"],
  ["patch pod box --subresource=status --type=merge -p '{}'", /pod\/box patched/],
  ["describe pod box", /^Name:\s+box[\s\S]*Status:\s+Running[\s\S]*Normal\s+Started/],
];

/** In the order of {@link EVERY_KIND}, and what the creators have made. */
export const DESCRIBED: readonly string[] = [
  "rc/rc",
  "rs/rs",
  "sts/sts",
  "ds/ds",
  "pv/pv-$NS",
  "pvc/pvc",
  "sc/sc-$NS",
  "limitrange/lr",
  "ep/ep",
  "endpointslice/eps",
  "netpol/np",
  "ingressclass/ic-$NS",
  "lease/lease",
  "runtimeclass/rtc-$NS",
  "validatingwebhookconfiguration/vwc-$NS",
  "podtemplate/pt",
  "ns/$NS",
  "cm/cm1",
  "secret/s1",
  "sa/robot",
  "svc/svc",
  "deploy/web",
  "job/once",
  "cj/tick",
  "ing/ing",
  "pdb/pdb",
  "pc/pc-$NS",
  "quota/q",
  "hpa/web",
  "role/reader",
  "rolebinding/readers",
  "clusterrole/cr-$NS",
  "clusterrolebinding/crb-$NS",
];
