/** `edit`: an object in the user's editor; what is saved is sent. Refused text is offered again with the reason on top. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApiObject } from "../../api/object.ts";
import { parseYamlDocuments, toYaml } from "../../util/yaml.ts";
import { objectTitle } from "../discovery.ts";
import { errorText } from "../errors.ts";
import { CliError, UsageError } from "../io.ts";
import { withoutManagedFields } from "../output/format.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { requireChoice, resolveTargets } from "../targets.ts";

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("<targets...>", "TYPE NAME, or TYPE/NAME")
      .addHelpText("after", examples("mini-kube edit configmap conf", "EDITOR=nano mini-kube edit pod/web"))
      .action(run(edit)),
};

async function edit(session: Session, words: string[]): Promise<void> {
  const targets = await resolveTargets(session.discovery, words);
  requireChoice(targets, {});
  const { stdin, env } = session.io;
  if (!stdin.isTTY && !env.EDITOR && !env.KUBE_EDITOR)
    throw new UsageError("edit needs a terminal; to change objects from a script: apply, label, annotate");
  const dir = mkdtempSync(join(tmpdir(), "mini-kube-edit-"));
  try {
    for (const { resource, names = [] } of targets) {
      for (const name of names) {
        const objects = session.resource(resource, resource.namespaced ? session.namespace : undefined);
        const live = withoutManagedFields((await objects.get(name, session.io.signal)) as ApiObject);
        const save = (next: ApiObject) =>
          objects.update(next, { fieldManager: "mini-kube-edit", fieldValidation: "Strict" });
        const changed = await editOne(session, { file: join(dir, `${name}.yaml`), live, save });
        if (changed) await session.say(`${objectTitle(resource, name)} edited`);
        else session.note("Edit cancelled, no changes made.");
      }
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const HEAD =
  "# Save and leave the editor to send this; leave it unchanged to cancel.\n# Lines that begin with # are not sent.\n";

async function editOne(
  session: Session,
  x: { file: string; live: ApiObject; save: (o: ApiObject) => Promise<unknown> },
): Promise<boolean> {
  const original = toYaml(x.live);
  let text = original;
  let complaint = "";
  for (;;) {
    const offered = HEAD + complaint + text;
    writeFileSync(x.file, offered, { mode: 0o600 });
    openEditor(session, x.file);
    const saved = readFileSync(x.file, "utf8");
    text = saved
      .split("\n")
      .filter((l) => !l.startsWith("#"))
      .join("\n");
    // Left as it was offered: also the way out after a refusal.
    if (text.trim() === original.trim()) return false;
    if (saved === offered) throw new CliError(`the object was not changed:\n${complaint.replace(/^# /gm, "")}`);
    try {
      const value = parseYamlDocuments(text, "the edited object")[0]?.value as ApiObject | undefined;
      if (!value) return false;
      await x.save(value);
      return true;
    } catch (error) {
      complaint = errorText(error)
        .split("\n")
        .map((l) => `# ${l}\n`)
        .join("");
    }
  }
}

function openEditor(session: Session, file: string): void {
  const editor = session.io.env.KUBE_EDITOR || session.io.env.EDITOR || "vi";
  const { status, error } = spawnSync("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
  if (error || status !== 0) throw new CliError(`the editor ${JSON.stringify(editor)} failed; set $EDITOR to another`);
}
