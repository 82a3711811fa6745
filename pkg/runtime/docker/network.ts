/** The network of the Pods: a bridge of Docker's own driver. */
import type { PodNetwork } from "../runtime.ts";
import type { DockerApi } from "./api.ts";
import { unless } from "./errors.ts";
import { label } from "./labels.ts";

interface Inspected {
  readonly IPAM: { readonly Config?: readonly { readonly Subnet?: string }[] };
  readonly Options?: Readonly<Record<string, string>>;
  readonly Containers?: Readonly<Record<string, unknown>>;
}

const OPTION = {
  bridge: "com.docker.network.bridge.name",
  masquerade: "com.docker.network.bridge.enable_ip_masquerade",
  gatewayMode: "com.docker.network.bridge.gateway_mode_ipv4",
  mtu: "com.docker.network.driver.mtu",
} as const;
/** From this version on Docker drops what comes to a container from another machine, unless told not to. */
const PROTECTS_SINCE = 28;

export async function ensureNetwork(
  api: DockerApi,
  n: PodNetwork,
  o: { clusterId: string; signal: AbortSignal },
): Promise<void> {
  const { signal } = o;
  const found = await inspect(api, n.name, signal);
  if (found && serves(found, n)) return;
  if (found) await removeNetwork(api, n.name, signal);
  const { Version } = await api.request<{ Version: string }>({ path: "/version", signal });
  const body = {
    Name: n.name,
    Driver: "bridge",
    CheckDuplicate: true,
    IPAM: { Driver: "default", Config: [{ Subnet: n.subnet, Gateway: n.gateway }] },
    Options: {
      ...optionsOf(n),
      ...(Number.parseInt(Version) >= PROTECTS_SINCE && { [OPTION.gatewayMode]: UNPROTECTED }),
    },
    Labels: { [label.cluster]: o.clusterId },
  };
  // 409: somebody was quicker.
  await api.request({ method: "POST", path: "/networks/create", body, alsoOk: [409], signal });
}

const UNPROTECTED = "nat-unprotected";

function optionsOf(n: PodNetwork): Readonly<Record<string, string>> {
  return { [OPTION.bridge]: n.name, [OPTION.masquerade]: String(n.masquerade), [OPTION.mtu]: String(n.mtu) };
}

function serves(found: Inspected, n: PodNetwork): boolean {
  const sameOptions = Object.entries(optionsOf(n)).every(([key, value]) => found.Options?.[key] === value);
  return sameOptions && (found.IPAM.Config?.some((c) => c.Subnet === n.subnet) ?? false);
}

/** Only sandboxes are in it, and they are of no use without it. */
export async function removeNetwork(api: DockerApi, name: string, signal: AbortSignal): Promise<void> {
  const found = await inspect(api, name, signal);
  if (!found) return;
  const remove = (path: string, query = {}) => unless(404, api.request({ method: "DELETE", path, query, signal }));
  const guests = Object.keys(found.Containers ?? {});
  await Promise.all(guests.map((id) => remove(`/containers/${id}`, { force: true, v: true })));
  await remove(`/networks/${encodeURIComponent(name)}`);
}

function inspect(api: DockerApi, name: string, signal: AbortSignal): Promise<Inspected | undefined> {
  return unless(404, api.request<Inspected>({ path: `/networks/${encodeURIComponent(name)}`, signal }));
}
