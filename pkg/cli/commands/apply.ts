/** `apply`: brings objects to what their manifests say. plan.ts decides; this file asks and sends. */
import { findByKind } from "../../api/table.ts";
import type { ApiObject } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { lastApplied, planApply, withLastApplied, LAST_APPLIED } from "../apply/plan.ts";
import { eachOrAggregate, placedError } from "../errors.ts";
import { CliError, UsageError } from "../io.ts";
import { type Manifest, readManifests } from "../manifests.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { addWriteFlags, isDry, tell, type WriteFlags, writeOptions } from "../writes.ts";
import { collect } from "./get.ts";

interface Options extends WriteFlags {
  filename?: string[];
  recursive?: boolean;
}

/** Kept apart from kubectl's name only where it matters: the two may take turns on an object. */
const MANAGER = "kubectl-client-side-apply";

export const command: CommandModule = {
  define: (c, run) =>
    addWriteFlags(c)
      .option(
        "-f, --filename <file>",
        "a file, a directory, a URL or - for the standard input (may be repeated)",
        collect,
      )
      .option("-R, --recursive", "with -f DIR: its subdirectories too")
      .addHelpText(
        "after",
        examples(
          "mini-kube apply -f pod.yaml                    one file, with one or more documents",
          "mini-kube apply -f manifests/ -R               all *.yaml, *.yml, *.json below a directory",
          "cat pod.yaml | mini-kube apply -f -            from the standard input",
          "mini-kube apply -f pod.yaml --dry-run=server   have it checked, change nothing",
        ),
      )
      .action(run(apply)),
};

async function apply(session: Session, o: Options): Promise<void> {
  if (!o.filename?.length)
    throw new UsageError("must specify -f: which manifest? for example: mini-kube apply -f pod.yaml");
  const errors: unknown[] = [];
  const manifests = await readManifests(session, o.filename, { ...o, onError: (e) => errors.push(e) });
  if (manifests.length === 0 && errors.length === 0) throw new CliError("no objects passed to apply");
  await eachOrAggregate(manifests, (m) => applyOne(session, m, o)).catch((e: unknown) => errors.push(e));
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
}

async function applyOne(session: Session, m: Manifest, o: Options): Promise<void> {
  const { resource, where } = m;
  const name = m.object.metadata.name;
  if (!name)
    throw new CliError(
      `${where("metadata")}: metadata.name is missing; apply needs it (generateName works with create)`,
    );
  const modified = withLastApplied(m.object, m.namespace);
  const objects = session.resource(resource, m.namespace);
  try {
    const current = await objects.get(name, session.io.signal).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
    if (!current) {
      const created = isDry(o, "client") ? modified : await objects.create(modified, writeOptions(o, MANAGER));
      return await tell(session, o, { resource, object: created as ApiObject, did: "created" });
    }
    const live = current as ApiObject;
    const schema = findByKind(modified.apiVersion ?? "", modified.kind ?? "")?.schema;
    const patch = planApply({ original: lastApplied(live), modified, current: live, schema });
    if (!patch) return await tell(session, o, { resource, object: live, did: "unchanged" });
    if (!lastApplied(live)) warnOfMissingNote(session, `${resource.plural}/${name}`);
    if (isDry(o, "client")) return await tell(session, o, { resource, object: live, did: "configured" });
    const type = schema ? "application/strategic-merge-patch+json" : "application/merge-patch+json";
    const next = (await objects.patch(name, type, patch, writeOptions(o, MANAGER))) as ApiObject;
    // The server may find that what differs in words (0.5 and 500m) is the same.
    const same = next.metadata.resourceVersion === live.metadata.resourceVersion && !isDry(o, "server");
    await tell(session, o, { resource, object: next, did: same ? "unchanged" : "configured" });
  } catch (error) {
    throw placedError(error, where);
  }
}

function warnOfMissingNote(session: Session, what: string): void {
  session.warn(
    `${what} is missing the ${LAST_APPLIED} annotation which apply needs to know what to remove. It is added now; create objects with apply to have it from the start.`,
  );
}
