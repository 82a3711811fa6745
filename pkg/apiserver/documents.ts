/** The read-only documents beside the objects: health, version, discovery, OpenAPI. Built once for each state of the table of kinds. */
import { createHash } from "node:crypto";
import { openApiV2ToProtobuf } from "../api/openapi-protobuf.ts";
import { openApiV2, openApiV3, openApiV3Index } from "../api/openapi.ts";
import type { ResourceDef } from "../api/resource.ts";
import type { ResourceTable } from "./resource-table.ts";
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiVersions,
  groupsOf,
  legacyResourceList,
  SERVER_VERSION,
} from "./discovery.ts";
import { discoveryContentType, discoveryForm } from "./negotiate.ts";

export interface Document {
  readonly contentType: string;
  readonly body: Buffer;
  /** Of the body; a client that has it gets 304. */
  readonly etag: string;
}

/** Go's MIME parser refuses the `@` in the name that clients ask with. */
const OPENAPI_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

export class Documents {
  readonly #table: Pick<ResourceTable, "all">;
  readonly #address: string;
  #madeOf: readonly ResourceDef[] = [];
  readonly #made = new Map<string, Promise<Document | undefined>>();

  constructor(table: Pick<ResourceTable, "all">, address: string) {
    this.#table = table;
    this.#address = address;
  }

  /** The kinds as of now. When they have changed, every document is made anew. */
  get #defs(): readonly ResourceDef[] {
    const defs = this.#table.all;
    if (defs !== this.#madeOf) this.#made.clear();
    this.#madeOf = defs;
    return defs;
  }

  /** Undefined when there is no such document. */
  get(pathname: string, accept: string | undefined): Promise<Document | undefined> {
    const path = pathname.replace(/\/$/, "");
    const defs = this.#defs;
    const key = `${path} ${this.#variant(path, accept)}`;
    let made = this.#made.get(key);
    if (!made) {
      made = this.#make(path, accept);
      // Only what exists is kept: paths come from outside.
      made
        .then((d) => d && defs === this.#defs && this.#made.set(key, made as Promise<Document>))
        .catch(() => undefined);
    }
    return made;
  }

  #variant(path: string, accept: string | undefined): string {
    if (path === "/api" || path === "/apis") return discoveryForm(accept);
    return path === "/openapi/v2" && wantsProtobuf(accept) ? "protobuf" : "";
  }

  async #make(path: string, accept: string | undefined): Promise<Document | undefined> {
    if (path === "/api" || path === "/apis") return this.#discovery(path, accept);
    if (path === "/version") return json(SERVER_VERSION);
    if (path === "/openapi/v2" && wantsProtobuf(accept)) {
      return document(OPENAPI_PROTOBUF, Buffer.from(openApiV2ToProtobuf(await openApiV2(this.#defs))));
    }
    if (path === "/openapi/v2") return json(await openApiV2(this.#defs));
    if (path === "/openapi/v3") return json(openApiV3Index(this.#defs));
    const [, root, group = "", version, ...more] = path.split("/");
    if (more.length === 0 && root === "api" && version === undefined)
      return json(legacyResourceList(this.#defs, "", group));
    if (more.length === 0 && root === "apis" && version === undefined) return json(apiGroup(this.#defs, group));
    if (more.length === 0 && root === "apis" && version) return json(legacyResourceList(this.#defs, group, version));
    const gv = groupVersionOf(path);
    return gv && json(await openApiV3(gv, this.#defs));
  }

  #discovery(path: "/api" | "/apis", accept: string | undefined): Document {
    const form = discoveryForm(accept);
    const which = path === "/api" ? "core" : "groups";
    const legacy = () => (which === "core" ? apiVersions(this.#address) : apiGroupList(this.#defs));
    const body = form === "legacy" ? legacy() : aggregatedDiscovery(this.#defs, which, form);
    return document(discoveryContentType(form), Buffer.from(JSON.stringify(body)));
  }

  /** `/`: what there is to see. */
  paths(): object {
    const groups = groupsOf(this.#defs).filter((g) => g.group !== "");
    const of = groups.flatMap(({ group, versions }) => [
      `/apis/${group}`,
      ...versions.map((v) => `/apis/${group}/${v}`),
    ]);
    return {
      paths: [
        "/api",
        "/api/v1",
        "/apis",
        ...of,
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
      ],
    };
  }
}

const wantsProtobuf = (accept: string | undefined) => /proto-openapi/.test(accept ?? "");

/** `/openapi/v3/api/v1`, `/openapi/v3/apis/apps/v1` */
function groupVersionOf(path: string): { group: string; version: string } | undefined {
  const core = /^\/openapi\/v3\/api\/([^/]+)$/.exec(path);
  if (core?.[1]) return { group: "", version: core[1] };
  const grouped = /^\/openapi\/v3\/apis\/([^/]+)\/([^/]+)$/.exec(path);
  return grouped?.[1] && grouped[2] ? { group: grouped[1], version: grouped[2] } : undefined;
}

function json(body: object | undefined): Document | undefined {
  return body && document("application/json", Buffer.from(JSON.stringify(body)));
}

function document(contentType: string, body: Buffer): Document {
  return { contentType, body, etag: `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"` };
}
