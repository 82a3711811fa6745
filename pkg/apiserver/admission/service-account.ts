/** ServiceAccount: whom a Pod acts as, what it pulls images with, and (once mounted) its token. */
import type { Container, Pod, PodSpec, ServiceAccount, Volume } from "../../api/generated/types.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { generateName } from "../../api/names.ts";
import type { Random } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../admission.ts";
import { createsPod, forbidden } from "./refuse.ts";

const DEFAULT = "default";
const VOLUME_PREFIX = "kube-api-access-";
const TOKEN_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";
const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";
/** Pods whose token is bound to them renew it hourly; who reads the file only once has this long. */
const TOKEN_SECONDS = 3607;
const DEFAULT_MODE = 0o644;

export interface ServiceAccountOptions {
  readonly random: Random;
  /** Whether Pods get a token. Off where nothing can mount it. */
  readonly mountToken: boolean;
}

export function serviceAccount(o: ServiceAccountOptions): AdmissionPlugin {
  return {
    name: "ServiceAccount",
    mutate(r, view) {
      if (!createsPod(r)) return;
      const pod = r.object as Pod;
      if (pod.spec && !(MIRROR_ANNOTATION in (pod.metadata.annotations ?? {}))) return admit(r, pod.spec, view, o);
    },
  };
}

type Account = Pick<DeepReadonly<ServiceAccount>, "automountServiceAccountToken" | "imagePullSecrets">;

/**
 * The default account is made for each namespace a moment after it: a Pod that is quicker need not wait, as that account
 * says nothing.
 */
const UNSAID: Account = {};

function admit(r: AdmissionRequest, spec: PodSpec, view: ClusterView, o: ServiceAccountOptions): void | Promise<void> {
  const name = (spec.serviceAccountName ||= DEFAULT);
  spec.serviceAccount = name;
  const known = view.get(serviceAccounts, r.namespace, name) ?? (name === DEFAULT ? UNSAID : undefined);
  if (known) return giveAccount(spec, known, o);
  return view.fresh(serviceAccounts, r.namespace, name).then((stored) => {
    const what = `${r.namespace}/${name}`;
    if (!stored) throw forbidden(r, `error looking up service account ${what}: serviceaccount "${name}" not found`);
    giveAccount(spec, stored.object, o);
  });
}

function giveAccount(spec: PodSpec, account: Account, o: ServiceAccountOptions): void {
  const automount = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
  if (o.mountToken && automount) mountToken(spec, o.random);
  const secrets = account.imagePullSecrets ?? [];
  if (!spec.imagePullSecrets?.length && secrets.length) spec.imagePullSecrets = secrets.map((s) => ({ ...s }));
}

/** Into every container that has nothing there of its own. */
export function mountToken(spec: PodSpec, random: Random): void {
  const given = spec.volumes?.find((v) => v.name.startsWith(VOLUME_PREFIX));
  const name = given?.name ?? generateName(VOLUME_PREFIX, random);
  const mount = { name, readOnly: true, mountPath: TOKEN_DIR };
  const lacks = (c: Container) => !c.volumeMounts?.some((m) => m.mountPath === TOKEN_DIR);
  const targets = [...(spec.initContainers ?? []), ...spec.containers].filter(lacks);
  for (const c of targets) c.volumeMounts = [...(c.volumeMounts ?? []), mount];
  if (!given && targets.length) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

/** The token, the CA to check the server by, and the namespace: what client libraries look for in a Pod. */
function tokenVolume(name: string): Volume {
  const token = { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: "token" } };
  const ca = { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } };
  const fieldRef = { apiVersion: "v1", fieldPath: "metadata.namespace" };
  const namespace = { downwardAPI: { items: [{ path: "namespace", fieldRef }] } };
  return { name, projected: { defaultMode: DEFAULT_MODE, sources: [token, ca, namespace] } };
}
