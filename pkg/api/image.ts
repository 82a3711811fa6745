/** Image references, by the grammar of the container registries: `[registry/]repository[:tag][@digest]`. */
export interface ImageReference {
  /** `docker.io` where none is written. */
  readonly registry: string;
  /** Without the registry; `library/nginx` for `nginx`. */
  readonly repository: string;
  readonly tag?: string;
  /** `sha256:…` */
  readonly digest?: string;
}

export type ParsedImage =
  | { readonly ok: true; readonly image: ImageReference }
  | { readonly ok: false; readonly reason: string };

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const REGISTRY =
  /^(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::\d+)?$|^\[[a-fA-F0-9:]+\](?::\d+)?$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

const refuse = (reason: string): ParsedImage => ({ ok: false, reason });

export function parseImage(text: string): ParsedImage {
  const [rest = "", digest, ...more] = text.split("@");
  if (more.length > 0) return refuse("invalid reference format");
  if (digest !== undefined && !DIGEST.test(digest)) return refuse("invalid reference format: invalid digest");
  // A colon after the last slash starts a tag; before it, a port.
  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) return refuse(`invalid reference format: invalid tag "${tag}"`);
  const { registry, repository } = splitRegistry(colon < 0 ? rest : rest.slice(0, colon));
  if (!REGISTRY.test(registry)) return refuse(`invalid reference format: invalid registry "${registry}"`);
  const reason = repositoryError(repository);
  if (reason !== undefined) return refuse(reason);
  return {
    ok: true,
    image: { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) },
  };
}

/** The first part is a registry only if it looks like a host: `localhost`, a dot, a port, or capitals. */
function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = first === "localhost" || /[.:]/.test(first) || first !== first.toLowerCase();
  const registry = !isHost || first === "index.docker.io" ? "docker.io" : first;
  const repository = isHost ? name.slice(slash + 1) : name;
  const official = registry === "docker.io" && !repository.includes("/");
  return { registry, repository: official && repository !== "" ? `library/${repository}` : repository };
}

function repositoryError(repository: string): string | undefined {
  if (repository.length > 255) return "repository name must not be more than 255 characters";
  if (repository.split("/").every((c) => COMPONENT.test(c))) return undefined;
  return repository.toLowerCase() !== repository
    ? `invalid reference format: repository name (${repository}) must be lowercase`
    : "invalid reference format";
}

/** The name in full, as registries know it; with the tag `latest` where neither tag nor digest is written. */
export function canonicalImage(i: ImageReference): string {
  const tag = i.tag ?? (i.digest === undefined ? "latest" : undefined);
  return `${i.registry}/${i.repository}${tag === undefined ? "" : `:${tag}`}${i.digest === undefined ? "" : `@${i.digest}`}`;
}

/** `latest`, said or unsaid, may move: pull it always. */
export function defaultPullPolicy(text: string): "Always" | "IfNotPresent" {
  const parsed = parseImage(text);
  if (!parsed.ok) return "IfNotPresent";
  const { tag, digest } = parsed.image;
  return (tag ?? (digest === undefined ? "latest" : "")) === "latest" ? "Always" : "IfNotPresent";
}
