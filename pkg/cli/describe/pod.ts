/** `describe pod`. */
import type {
  Container,
  ContainerState,
  ContainerStatus,
  EnvVar,
  Pod,
  Probe,
  Toleration,
  Volume,
} from "../../api/generated/types.ts";
import { annotations, block, compact, type Entry, pairs, row } from "./tree.ts";
import { localTime } from "./time.ts";

export function describePod(pod: Pod): Entry[] {
  const { metadata, spec, status } = pod;
  return compact([
    row("Name", metadata.name),
    row("Namespace", metadata.namespace),
    row("Priority", spec?.priority ?? 0),
    spec?.runtimeClassName ? row("Runtime Class Name", spec.runtimeClassName) : undefined,
    row("Service Account", spec?.serviceAccountName ?? "default"),
    row("Node", spec?.nodeName ? [`${spec.nodeName}${status?.hostIP ? `/${status.hostIP}` : ""}`] : undefined),
    status?.startTime ? row("Start Time", localTime(status.startTime)) : undefined,
    row("Labels", pairs(metadata.labels)),
    row("Annotations", annotations(metadata.annotations)),
    metadata.deletionTimestamp
      ? row("Status", `Terminating (since ${localTime(metadata.deletionTimestamp)})`)
      : row("Status", status?.phase),
    status?.reason ? row("Reason", status.reason) : undefined,
    status?.message ? row("Message", status.message) : undefined,
    row("IP", status?.podIP),
    block(
      "IPs",
      (status?.podIPs ?? []).map((ip) => row("IP", ip.ip)),
    ),
    ...(metadata.ownerReferences ?? [])
      .filter((o) => o.controller)
      .map((o) => row("Controlled By", `${o.kind}/${o.name}`)),
    spec?.initContainers?.length
      ? block(
          "Init Containers",
          spec.initContainers.map((c) => describeContainer(c, find(status?.initContainerStatuses, c))),
        )
      : undefined,
    block(
      "Containers",
      (spec?.containers ?? []).map((c) => describeContainer(c, find(status?.containerStatuses, c))),
    ),
    conditions(pod),
    block("Volumes", (spec?.volumes ?? []).map(describeVolume)),
    row("QoS Class", status?.qosClass),
    row("Node-Selectors", pairs(spec?.nodeSelector)),
    row("Tolerations", (spec?.tolerations ?? []).map(tolerationText)),
  ]);
}

const find = (statuses: readonly ContainerStatus[] | undefined, c: Container) =>
  statuses?.find((s) => s.name === c.name);

function conditions(pod: Pod): Entry {
  const rows = (pod.status?.conditions ?? []).map((c) => [c.type, c.status, c.reason ?? ""]);
  const reasons = rows.some(([, , reason]) => reason !== "");
  const header = ["Type", "Status", ...(reasons ? ["Reason"] : [])];
  return { label: "Conditions", header, rows: rows.map((r) => r.slice(0, header.length)) };
}

function describeContainer(c: Container, s: ContainerStatus | undefined): Entry {
  return block(
    c.name,
    compact([
      row("Container ID", s?.containerID),
      row("Image", c.image),
      row("Image ID", s?.imageID),
      row(
        "Port",
        (c.ports ?? [])
          .map((p) => `${p.containerPort}/${p.protocol ?? "TCP"}${p.name ? ` (${p.name})` : ""}`)
          .join(", "),
      ),
      row("Host Port", (c.ports ?? []).map((p) => `${p.hostPort ?? 0}/${p.protocol ?? "TCP"}`).join(", ")),
      c.command?.length ? row("Command", c.command) : undefined,
      c.args?.length ? row("Args", c.args) : undefined,
      ...stateEntries("State", s?.state),
      ...(s?.lastState && Object.keys(s.lastState).length > 0 ? stateEntries("Last State", s.lastState) : []),
      row("Ready", s?.ready === true ? "True" : "False"),
      row("Restart Count", s?.restartCount ?? 0),
      resources("Limits", c.resources?.limits),
      resources("Requests", c.resources?.requests),
      c.livenessProbe ? row("Liveness", probeText(c.livenessProbe)) : undefined,
      c.readinessProbe ? row("Readiness", probeText(c.readinessProbe)) : undefined,
      c.startupProbe ? row("Startup", probeText(c.startupProbe)) : undefined,
      block(
        "Environment",
        (c.env ?? []).map((e) => row(e.name, envText(e))),
      ),
      block(
        "Mounts",
        (c.volumeMounts ?? []).map((m) =>
          row(m.mountPath, `from ${m.name} (${m.readOnly ? "ro" : "rw"}${m.subPath ? `,path="${m.subPath}"` : ""})`),
        ),
      ),
    ]),
  );
}

function stateEntries(label: string, state: ContainerState | undefined): Entry[] {
  if (state?.running) return [row(label, "Running"), row("  Started", localTime(state.running.startedAt))];
  if (state?.terminated) {
    const t = state.terminated;
    return compact([
      row(label, "Terminated"),
      t.reason ? row("  Reason", t.reason) : undefined,
      t.message ? row("  Message", t.message) : undefined,
      row("  Exit Code", t.exitCode),
      t.signal ? row("  Signal", t.signal) : undefined,
      row("  Started", localTime(t.startedAt)),
      row("  Finished", localTime(t.finishedAt)),
    ]);
  }
  const waiting = state?.waiting;
  return compact([
    row(label, "Waiting"),
    waiting?.reason ? row("  Reason", waiting.reason) : undefined,
    waiting?.message ? row("  Message", waiting.message) : undefined,
  ]);
}

function resources(label: string, list: Readonly<Record<string, unknown>> | undefined): Entry | undefined {
  const entries = Object.entries(list ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0
    ? undefined
    : block(
        label,
        entries.map(([k, v]) => row(k, v)),
      );
}

function envText(e: EnvVar): string {
  const from = e.valueFrom;
  if (!from) return e.value ?? "";
  if (from.fieldRef) return `(${from.fieldRef.apiVersion ?? "v1"}:${from.fieldRef.fieldPath})`;
  if (from.resourceFieldRef)
    return `${from.resourceFieldRef.containerName ?? "this container"} (${from.resourceFieldRef.resource})`;
  const ref = from.secretKeyRef ?? from.configMapKeyRef;
  const kind = from.secretKeyRef ? "secret" : "config map";
  return `<set to the key '${ref?.key ?? ""}' in ${kind} '${ref?.name ?? ""}'>  Optional: ${ref?.optional === true}`;
}

function probeText(p: Probe): string {
  const port = (x: { port: unknown }) => String(x.port);
  const what = p.exec
    ? `exec [${(p.exec.command ?? []).join(" ")}]`
    : p.httpGet
      ? `http-get ${(p.httpGet.scheme ?? "HTTP").toLowerCase()}://${p.httpGet.host ?? ""}:${port(p.httpGet)}${p.httpGet.path ?? "/"}`
      : p.tcpSocket
        ? `tcp-socket ${p.tcpSocket.host ?? ""}:${port(p.tcpSocket)}`
        : p.grpc
          ? `grpc <pod>:${p.grpc.port}`
          : "unknown";
  const times = `delay=${p.initialDelaySeconds ?? 0}s timeout=${p.timeoutSeconds ?? 1}s period=${p.periodSeconds ?? 10}s`;
  return `${what} ${times} #success=${p.successThreshold ?? 1} #failure=${p.failureThreshold ?? 3}`;
}

function describeVolume(v: Volume): Entry {
  const [type = "unknown", source] = Object.entries(v).find(([k]) => k !== "name") ?? [];
  const details = Object.entries((source ?? {}) as Record<string, unknown>).map(([k, value]) => row(k, value));
  return block(v.name, [row("Type", type), ...details]);
}

function tolerationText(t: Toleration): string {
  const value = t.value ? `=${t.value}` : "";
  const effect = t.effect ? `:${t.effect}` : "";
  const operator = t.operator === "Exists" ? " op=Exists" : "";
  const seconds = t.tolerationSeconds === undefined ? "" : ` for ${t.tolerationSeconds}s`;
  return `${t.key ?? ""}${value}${effect}${operator}${seconds}`.trim();
}
