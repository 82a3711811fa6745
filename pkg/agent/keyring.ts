/** Whose name and password a pull is tried with: the kubelet's keyring, made of a Pod's pull secrets. Pure. */
import type { Secret } from "../api/generated/types.ts";
import type { RegistryAuth } from "../runtime/images.ts";
import type { DeepReadonly } from "../util/types.ts";

interface Entry {
  /** `host`, `*.host:port` or `host/path`: what the secret says it is for. */
  readonly place: string;
  readonly auth: RegistryAuth;
}

export type Keyring = readonly Entry[];

/** Docker's own registry, as `docker login` writes it down. */
const DOCKER_HUB = "index.docker.io";

/** What the secrets hold. Throws with the secret's name when one is no Docker configuration. */
export function keyringOf(secrets: readonly DeepReadonly<Secret>[]): Keyring {
  return secrets.flatMap((secret) => {
    try {
      return entriesOf(secret);
    } catch {
      throw new Error(`secret "${secret.metadata.name}" holds no Docker configuration that could be read`);
    }
  });
}

function entriesOf({ type, data = {} }: DeepReadonly<Secret>): Entry[] {
  const [json, cfg] = [data[".dockerconfigjson"], data[".dockercfg"]];
  if (type === "kubernetes.io/dockerconfigjson" && json)
    return entries((JSON.parse(decoded(json)) as { auths?: Auths }).auths ?? {});
  if (type === "kubernetes.io/dockercfg" && cfg) return entries(JSON.parse(decoded(cfg)) as Auths);
  return [];
}

type Auths = Readonly<
  Record<string, { readonly auth?: string; readonly username?: string; readonly password?: string }>
>;

function entries(auths: Auths): Entry[] {
  return Object.entries(auths).map(([location, { auth, username, password }]) => {
    const both = auth ? decoded(auth).replaceAll("\0", "") : undefined;
    const colon = both?.indexOf(":") ?? -1;
    const named =
      both !== undefined && colon >= 0
        ? { username: both.slice(0, colon), password: both.slice(colon + 1) }
        : { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
    const place = placeOf(location);
    return { place, auth: { ...named, serverAddress: place.split("/")[0] ?? "" } };
  });
}

const decoded = (base64: string) => Buffer.from(base64, "base64").toString();

/** Without scheme and API version: `https://index.docker.io/v1/` is `index.docker.io`. */
function placeOf(location: string): string {
  const [, host = "", path = ""] = /^(?:https?:\/\/)?([^/]*)(.*)$/.exec(location) ?? [];
  const rest = /^\/v[12]\//.test(path) ? path.slice(3) : path;
  return rest === "/" ? host : `${host}${rest}`;
}

/** In the order to be tried: the most specific place first; none for an image that the keyring does not know. */
export function credentialsFor(keyring: Keyring, image: string): readonly RegistryAuth[] {
  const bySpecificity = keyring.toSorted((a, b) => (a.place < b.place ? 1 : a.place > b.place ? -1 : 0));
  const matching = bySpecificity.filter((e) => matches(e.place, image));
  const found = matching.length > 0 || !onDockerHub(image) ? matching : keyring.filter((e) => e.place === DOCKER_HUB);
  return found.map((e) => e.auth);
}

/** As Kubernetes' URLsMatch: as many parts in the host, `*` within one of them; the same port; a path that begins so. */
function matches(place: string, image: string): boolean {
  const [glob, target] = [split(place), split(image)];
  if (glob.port !== target.port || glob.labels.length !== target.labels.length) return false;
  return target.path.startsWith(glob.path) && glob.labels.every((g, n) => matchesLabel(g, target.labels[n] ?? ""));
}

function split(name: string): { labels: readonly string[]; port: string; path: string } {
  const slash = name.indexOf("/");
  const host = slash < 0 ? name : name.slice(0, slash);
  const [domain = "", port = ""] = host.split(":");
  return { labels: domain.split("."), port, path: slash < 0 ? "" : name.slice(slash) };
}

function matchesLabel(glob: string, label: string): boolean {
  const parts = glob.split(/([*?])/).map((p) => (p === "*" ? ".*" : p === "?" ? "." : p.replace(/[^\w]/g, "\\$&")));
  return new RegExp(`^${parts.join("")}$`).test(label);
}

function onDockerHub(image: string): boolean {
  const [first = "", ...rest] = image.split("/");
  return rest.length === 0 || first === "docker.io" || first === DOCKER_HUB || !/[.:]/.test(first);
}
