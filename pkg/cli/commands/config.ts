/** `config`: what the kubeconfig says, and the few things one changes in it every day. */
import type { Command } from "commander";
import { type Kubeconfig, readKubeconfig, writeKubeconfig } from "../../client/kubeconfig.ts";
import { toYaml } from "../../util/yaml.ts";
import { CliError } from "../io.ts";
import { TablePrinter } from "../output/table.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";

export const command: CommandModule = {
  define: (c, run) => {
    const sub = (name: string, summary: string): Command => c.command(name).description(summary);
    sub("view", "Print the kubeconfig, without its secrets")
      .option("--raw", "with its secrets")
      .option("--minify", "only what the current context uses")
      .option("-o, --output <format>", "yaml or json")
      .action(run(view));
    sub("current-context", "Print the name of the context in use").action(
      run((session) => session.say(session.context.name)),
    );
    sub("get-contexts", "List the contexts").action(run(getContexts));
    sub("use-context", "Choose the context to use").argument("<name>").action(run(useContext));
    sub("use-namespace", "Choose the namespace to work in").argument("<name>").action(run(useNamespace));
    c.addHelpText(
      "after",
      examples(
        "mini-kube config view                   where the cluster is, and who you are",
        "mini-kube config use-namespace team     work in another namespace from now on",
        "mini-kube config current-context",
      ),
    );
  },
};

const SECRETS = /^(client-key-data|token|password)$/;
const BULKY = /-data$/;

function redact(value: unknown, key = ""): unknown {
  if (SECRETS.test(key)) return "REDACTED";
  if (BULKY.test(key)) return "DATA+OMITTED";
  if (Array.isArray(value)) return value.map((v) => redact(v));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, redact(v, k)]));
}

async function view(session: Session, o: { raw?: boolean; minify?: boolean; output?: string }): Promise<void> {
  const config = o.minify ? minify(session.kubeconfig, session.context.name) : session.kubeconfig;
  const shown = o.raw ? config : redact(config);
  await session.say(o.output === "json" ? JSON.stringify(shown, null, 4) : toYaml(shown));
}

function minify(config: Kubeconfig, name: string): Kubeconfig {
  const contexts = (config.contexts ?? []).filter((c) => c.name === name);
  const { cluster, user } = contexts[0]?.context ?? {};
  return {
    ...config,
    contexts,
    clusters: (config.clusters ?? []).filter((c) => c.name === cluster),
    users: (config.users ?? []).filter((u) => u.name === user),
    "current-context": name,
  };
}

async function getContexts(session: Session): Promise<void> {
  const config = session.kubeconfig;
  const rows = (config.contexts ?? []).map(({ name, context }) => [
    name === config["current-context"] ? "*" : "",
    name,
    context.cluster,
    context.user,
    context.namespace ?? "",
  ]);
  const header = ["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"];
  await session.say(new TablePrinter(session.paint).format({ header, rows }));
}

async function useContext(session: Session, name: string): Promise<void> {
  const known = session.kubeconfig.contexts?.map((c) => c.name) ?? [];
  if (!known.includes(name))
    throw new CliError(`no context exists with the name ${JSON.stringify(name)}; there are: ${known.join(", ")}`);
  change(session, (config) => ({ ...config, "current-context": name }));
  await session.say(`Switched to context ${JSON.stringify(name)}.`);
}

async function useNamespace(session: Session, namespace: string): Promise<void> {
  const current = session.context.name;
  // A typing error here would show only much later.
  const resource = await session.discovery.byWord("namespaces");
  await session.resource(resource, undefined).get(namespace, session.io.signal);
  change(session, (config) => ({
    ...config,
    contexts: (config.contexts ?? []).map((c) =>
      c.name === current ? { ...c, context: { ...c.context, namespace } } : c,
    ),
  }));
  await session.say(`Context ${JSON.stringify(current)} now works in namespace ${JSON.stringify(namespace)}.`);
}

/** In the first of the files that exists: the one whose words count. */
function change(session: Session, f: (config: Kubeconfig) => Kubeconfig): void {
  for (const file of session.kubeconfigPlace.files) {
    const config = readKubeconfig(file);
    if (config) return writeKubeconfig(file, f(config));
  }
  throw new CliError(`there is no kubeconfig at ${session.kubeconfigPlace.files.join(" or ")}`);
}
