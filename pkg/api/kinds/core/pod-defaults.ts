/** What a Pod says where its author is silent: Kubernetes' API defaults. */
import type {
  Container,
  EphemeralContainer,
  Lifecycle,
  Pod,
  PodSpec,
  Probe,
  ProjectedVolumeSource,
  ResourceRequirements,
  Volume,
} from "../../generated/types.ts";
import { defaultPullPolicy } from "../../image.ts";
import { canonicalize } from "../../validation/resources.ts";

const DEFAULT_MODE = 0o644;

export function setPodDefaults(pod: Pod): void {
  pod.spec ??= { containers: [] };
  defaultPodSpec(pod.spec);
  defaultOnlyOfPods(pod.spec);
}

/** Of every pod spec, those in templates included. */
export function defaultPodSpec(spec: PodSpec): void {
  spec.containers ??= [];
  spec.restartPolicy ||= "Always";
  spec.dnsPolicy ||= "ClusterFirst";
  spec.schedulerName ||= "default-scheduler";
  spec.terminationGracePeriodSeconds ??= 30;
  spec.securityContext ??= {};
  // The old name and the new one are one field.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) spec.serviceAccountName = spec.serviceAccount = account;
  const all = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  for (const c of all) defaultContainer(c);
  for (const v of spec.volumes ?? []) defaultVolume(v);
  for (const c of spec.topologySpreadConstraints ?? []) c.whenUnsatisfiable ||= "DoNotSchedule";
  canonicalize(spec.overhead);
  canonicalizeResources(spec.resources);
}

/** What a template leaves open until a Pod is made of it. */
function defaultOnlyOfPods(spec: PodSpec): void {
  spec.enableServiceLinks ??= true;
  if (spec.resources) requestLimits(spec.resources);
  for (const c of [...spec.containers, ...(spec.initContainers ?? [])]) {
    if (c.resources) requestLimits(c.resources);
    if (spec.hostNetwork) for (const p of c.ports ?? []) p.hostPort ||= p.containerPort;
  }
}

function defaultContainer(c: Container | EphemeralContainer): void {
  c.terminationMessagePath ||= "/dev/termination-log";
  c.terminationMessagePolicy ||= "File";
  c.imagePullPolicy ||= defaultPullPolicy(c.image ?? "");
  c.resources ??= {};
  canonicalizeResources(c.resources);
  for (const p of c.ports ?? []) p.protocol ||= "TCP";
  for (const e of c.env ?? []) if (e.valueFrom?.fieldRef) e.valueFrom.fieldRef.apiVersion ||= "v1";
  for (const p of [c.livenessProbe, c.readinessProbe, c.startupProbe]) if (p) defaultProbe(p);
  if (c.lifecycle) defaultLifecycle(c.lifecycle);
}

/** A limit is a request, unless a request is written. */
function requestLimits(r: ResourceRequirements): void {
  if (r.limits && Object.keys(r.limits).length) r.requests = { ...r.limits, ...r.requests };
}

function canonicalizeResources(r: ResourceRequirements | undefined): void {
  canonicalize(r?.limits);
  canonicalize(r?.requests);
}

function defaultProbe(p: Probe): void {
  p.timeoutSeconds ||= 1;
  p.periodSeconds ||= 10;
  p.successThreshold ||= 1;
  p.failureThreshold ||= 3;
  if (p.httpGet) defaultHttpGet(p.httpGet);
  if (p.grpc) p.grpc.service ??= "";
}

function defaultHttpGet(get: { path?: string; scheme?: string }): void {
  get.path ||= "/";
  get.scheme ||= "HTTP";
}

function defaultLifecycle(l: Lifecycle): void {
  for (const hook of [l.postStart, l.preStop]) if (hook?.httpGet) defaultHttpGet(hook.httpGet);
}

function defaultVolume(v: Volume): void {
  // A volume that names no source is an empty directory.
  if (Object.keys(v).every((k) => k === "name")) v.emptyDir = {};
  for (const source of [v.secret, v.configMap, v.downwardAPI]) if (source) source.defaultMode ??= DEFAULT_MODE;
  for (const item of v.downwardAPI?.items ?? []) if (item.fieldRef) item.fieldRef.apiVersion ||= "v1";
  if (v.projected) defaultProjection(v.projected);
  if (v.hostPath) v.hostPath.type ??= "";
  if (v.image) v.image.pullPolicy ||= defaultPullPolicy(v.image.reference ?? "");
}

function defaultProjection(p: ProjectedVolumeSource): void {
  p.defaultMode ??= DEFAULT_MODE;
  for (const source of p.sources ?? []) {
    if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600;
    for (const item of source.downwardAPI?.items ?? []) if (item.fieldRef) item.fieldRef.apiVersion ||= "v1";
  }
}
