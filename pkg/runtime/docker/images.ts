import { type ImageInfo, RuntimeError } from "../runtime.ts";
import type { Clock } from "../../util/clock.ts";
import type { DockerApi } from "./api.ts";
import { failingAs, unless } from "./errors.ts";
import { dialProgram } from "./dial.ts";
import { pauseProgram, tarOf } from "./pause.ts";
import { documents } from "./streams.ts";

interface DockerImage {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Size: number;
  /** Not in lists. */
  readonly Config?: { readonly User?: string } | null;
}

/** A pull that brings nothing new for so long will bring nothing more. */
const PULL_STALLS_MS = 120_000;

class Progress implements Disposable {
  readonly #clock: Clock;
  readonly #what: string;
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;

  constructor(clock: Clock, what: string) {
    this.#clock = clock;
    this.#what = what;
    this.made();
  }

  /** Aborts when there was none for too long. */
  get stalled(): AbortSignal {
    return this.#stop.signal;
  }

  made(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(PULL_STALLS_MS, () => {
      const why = `${this.#what}: no progress for ${PULL_STALLS_MS / 1000} s`;
      this.#stop.abort(new RuntimeError("ErrImagePull", why));
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }
}

/** The sandbox image that this runtime makes itself. */
export const PAUSE_IMAGE = "mini-kube/pause:2";

export class Images {
  readonly #api: DockerApi;
  readonly #clock: Clock;

  constructor(api: DockerApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  async inspect(image: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    checkImageName(image);
    const found = await unless(404, this.#api.request<DockerImage>({ path: `/images/${image}/json`, signal }));
    return found && toImageInfo(found);
  }

  async list(signal: AbortSignal): Promise<readonly ImageInfo[]> {
    return (await this.#api.request<readonly DockerImage[]>({ path: "/images/json", signal })).map(toImageInfo);
  }

  async pull(image: string, signal: AbortSignal): Promise<ImageInfo> {
    checkImageName(image);
    // Without a tag Docker would pull all there are.
    const query = { fromImage: image, tag: /[:@][^/]*$/.test(image) ? undefined : "latest" };
    using progress = new Progress(this.#clock, `pull of ${image}`);
    const both = AbortSignal.any([signal, progress.stalled]);
    const call = { method: "POST", path: "/images/create", query, signal: both } as const;
    try {
      const stream = await failingAs("ErrImagePull", this.#api.stream(call));
      for await (const { error } of documents<{ error?: string }>(stream)) {
        progress.made();
        if (error !== undefined) throw new RuntimeError("ErrImagePull", error);
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
  return { id: i.Id, names, sizeBytes: i.Size, ...(user && { user }) };
}
