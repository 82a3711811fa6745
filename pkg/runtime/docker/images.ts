import type { Readable } from "node:stream";
import type { Clock } from "../../util/clock.ts";
import { type BuildOptions, type ImageInfo, imageRef, type PullOptions, type RegistryAuth } from "../images.ts";
import { RuntimeError } from "../runtime.ts";
import type { Call, DockerApi } from "./api.ts";
import { failingAs, unless } from "./errors.ts";
import { dialProgram } from "./dial.ts";
import { pauseProgram, tarOf } from "./pause.ts";
import { ProgressDeadline, type PullMessage, PullTally } from "./pull-progress.ts";
import { documents } from "./streams.ts";

interface DockerImage {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Size: number;
  /** Seconds in a list, a text of one image. */
  readonly Created?: number | string;
  /** Not in lists. */
  readonly Config?: { readonly User?: string } | null;
}

/** What a load or a build says on its way. */
interface WorkMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: object;
  readonly error?: string;
}

/** A pull that brings nothing new for so long will bring nothing more: the kubelet's imagePullProgressDeadline. */
const PULL_STALLS_MS = 60_000;

/** The sandbox image that this runtime makes itself. */
export const PAUSE_IMAGE = "mini-kube/pause:2";

export class Images {
  readonly #api: DockerApi;
  readonly #clock: Clock;
  /** By id: what the daemon says of an image whose names we have asked for. A pull may add names. */
  readonly #infos = new Map<string, ImageInfo>();

  constructor(api: DockerApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  async inspect(image: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    checkImageName(image);
    const found = await unless(404, this.#api.request<DockerImage>({ path: `/images/${image}/json`, signal }));
    if (!found) return undefined;
    const info = toImageInfo(found);
    this.#infos.set(info.id, info);
    return info;
  }

  /** {@link imageRef} of a container's image; asks the daemon once for each image. */
  async refOf(id: string, image: string, signal: AbortSignal): Promise<string> {
    const known = this.#infos.get(id) ?? (await this.#ask(id, signal));
    return known ? imageRef(known, image) : id;
  }

  async #ask(id: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    // An image of running containers can lose its names, not its id; one that is gone is nobody's any more.
    const found = await unless(404, this.#api.request<DockerImage>({ path: `/images/${id}/json`, signal }));
    const info = found ? toImageInfo(found) : { id, names: [], sizeBytes: 0 };
    this.#infos.set(id, info);
    return info;
  }

  async list(signal: AbortSignal): Promise<readonly ImageInfo[]> {
    const listed = await this.#api.request<readonly DockerImage[]>({ path: "/images/json", signal });
    const infos = listed.map(toImageInfo);
    const ids = new Set(infos.map((i) => i.id));
    for (const id of this.#infos.keys()) if (!ids.has(id)) this.#infos.delete(id);
    return infos;
  }

  async pull(image: string, signal: AbortSignal, o: PullOptions = {}): Promise<ImageInfo> {
    checkImageName(image);
    // Without a tag Docker would pull all there are.
    const query = { fromImage: image, tag: /[:@][^/]*$/.test(image) ? undefined : "latest" };
    using deadline = new ProgressDeadline(this.#clock, `pull of ${image}`, o.stallsMs ?? PULL_STALLS_MS);
    const both = AbortSignal.any([signal, deadline.stalled]);
    const headers = o.auth ? { "X-Registry-Auth": authHeader(o.auth) } : {};
    const tally = new PullTally();
    try {
      const call = { method: "POST", path: "/images/create", query, headers, signal: both } as const;
      const stream = await failingAs("ErrImagePull", this.#api.stream(call));
      for await (const message of documents<PullMessage>(stream)) {
        deadline.made();
        if (message.error !== undefined) throw new RuntimeError("ErrImagePull", message.error);
        tally.add(message);
        o.onProgress?.(tally.progress);
      }
    } catch (e) {
      both.throwIfAborted();
      throw e instanceof RuntimeError
        ? e
        : new RuntimeError("ErrImagePull", `pull of ${image} broke off`, { cause: e });
    }
    both.throwIfAborted();
    const pulled = await this.inspect(image, signal);
    if (!pulled) throw new RuntimeError("ErrImagePull", `${image} was pulled, and is not there`);
    return pulled;
  }

  async remove(name: string, signal: AbortSignal): Promise<boolean> {
    const call = { method: "DELETE", path: `/images/${name}`, signal } as const;
    const removed = await unless(
      409,
      unless(404, this.#api.request({ ...call, alsoOk: [404] })).then(() => true),
    );
    return removed ?? false;
  }

  load(archive: Readable, signal: AbortSignal): AsyncGenerator<string> {
    return this.#work({ method: "POST", path: "/images/load", query: { quiet: true }, upload: archive, signal });
  }

  async save(names: readonly string[], signal: AbortSignal): Promise<Readable> {
    // The daemon finds out that it lacks one when it has begun to answer.
    for (const name of names) {
      if (!(await this.inspect(name, signal))) throw new RuntimeError("NotFound", `no image ${name} on this node`);
    }
    return this.#api.stream({ path: "/images/get", query: { names }, signal });
  }

  build(context: Readable, o: BuildOptions, signal: AbortSignal): AsyncGenerator<string> {
    const query = {
      t: o.tags[0],
      dockerfile: o.dockerfile,
      target: o.target,
      nocache: o.noCache,
      buildargs: o.args && JSON.stringify(o.args),
      forcerm: true,
    };
    const call = { method: "POST", path: "/build", query, upload: context, signal } as const;
    const more = o.tags.slice(1).map((tag) => ({ image: o.tags[0] ?? "", tag }));
    return this.#built(call, more);
  }

  async *#built(call: Call, more: readonly { image: string; tag: string }[]): AsyncGenerator<string> {
    yield* this.#work(call);
    for (const { image, tag } of more) {
      const colon = tag.indexOf(":", tag.lastIndexOf("/") + 1);
      const query = colon < 0 ? { repo: tag } : { repo: tag.slice(0, colon), tag: tag.slice(colon + 1) };
      await this.#api.request({ method: "POST", path: `/images/${image}/tag`, query, signal: call.signal });
    }
  }

  /** Bars that grow are for terminals: of them only the words go on. */
  async *#work(call: Call): AsyncGenerator<string> {
    this.#infos.clear(); // names move
    const stream = await this.#api.stream(call);
    let said = "";
    for await (const m of documents<WorkMessage>(stream)) {
      if (m.error !== undefined) throw new RuntimeError("RuntimeError", m.error, { retryable: false });
      const line = m.stream ?? (m.status === undefined ? "" : `${m.id === undefined ? "" : `${m.id}: `}${m.status}\n`);
      if (line !== "" && line !== said) yield line;
      said = line;
    }
    call.signal.throwIfAborted();
  }

  /** Our own sandbox image is made here and now, so that a Pod needs no registry; any other is pulled. */
  async makeSandboxImage(image: string, signal: AbortSignal): Promise<void> {
    if (image !== PAUSE_IMAGE) return void (await this.pull(image, signal));
    const { Arch } = await this.#api.request<{ Arch: string }>({ path: "/version", signal });
    if (Arch !== "amd64" && Arch !== "arm64") {
      throw new RuntimeError("RuntimeError", `no built-in sandbox image for ${Arch}: choose one`, { retryable: false });
    }
    const [repo, tag] = PAUSE_IMAGE.split(":");
    await this.#api.request({
      method: "POST",
      path: "/images/create",
      query: { fromSrc: "-", repo, tag, changes: 'ENTRYPOINT ["/pause"]', message: "made by mini-kube" },
      body: tarOf({ pause: pauseProgram(Arch), dial: dialProgram(Arch) }),
      signal,
    });
  }
}

/** Docker's grammar: [HOST[:PORT]/]PATH[:TAG][@DIGEST]. */
const NAME = (() => {
  const part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
  const host = "(?:[a-zA-Z0-9-]+(?:\\.[a-zA-Z0-9-]+)*(?::\\d+)?/)?";
  return new RegExp(`^${host}${part}(?:/${part})*(?::[\\w][\\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?$`);
})();

function checkImageName(image: string): void {
  if (NAME.test(image)) return;
  const message = `invalid reference format: ${JSON.stringify(image)}`;
  throw new RuntimeError("InvalidImageName", message, { retryable: false });
}

function toImageInfo(i: DockerImage): ImageInfo {
  const names = [...(i.RepoTags ?? []), ...(i.RepoDigests ?? [])].filter((n) => !n.startsWith("<none>"));
  const user = i.Config?.User;
  const createdAt = typeof i.Created === "number" ? i.Created * 1000 : Date.parse(i.Created ?? "");
  return {
    id: i.Id,
    names,
    sizeBytes: i.Size,
    ...(Number.isFinite(createdAt) && { createdAt }),
    ...(user && { user }),
  };
}

/** As Docker wants it: its own names, base64 for URLs with its padding (without, it takes the header for none). */
function authHeader(a: RegistryAuth): string {
  const config = {
    username: a.username,
    password: a.password,
    identitytoken: a.identityToken,
    registrytoken: a.registryToken,
    serveraddress: a.serverAddress,
  };
  return Buffer.from(JSON.stringify(config)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}
