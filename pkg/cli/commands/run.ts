/** `run`: a Pod from an image and flags; attached to with -it, removed at its end with --rm. */
import type { ApiObject } from "../../api/object.ts";
import type { Pod } from "../../api/generated/types.ts";
import { pathOf } from "../../client/request.ts";
import type { KnownResource } from "../discovery.ts";
import { CliError, UsageError, write } from "../io.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { runStream } from "../stream.ts";
import { TimedOut, until } from "../until.ts";
import { addWriteFlags, type WriteFlags } from "../writes.ts";
import { createObject } from "./create.ts";
import { duration } from "./delete.ts";
import { collect, commaList } from "./get.ts";

interface Options extends WriteFlags {
  image: string;
  command?: boolean;
  env?: string[];
  port?: string;
  labels?: string[];
  annotations?: string[];
  restart: string;
  stdin?: boolean;
  tty?: boolean;
  rm?: boolean;
  attach?: boolean;
  imagePullPolicy?: string;
  quiet?: boolean;
  podRunningTimeout: number;
}

export const command: CommandModule = {
  define: (c, run) =>
    addWriteFlags(c)
      .argument("<name>", "the Pod's name")
      .argument("[args...]", "after --: arguments for the image's command, or with --command the command itself")
      .requiredOption("--image <image>", "the image to run")
      .option("--command", "the words after -- are the command, not its arguments")
      .option("--env <name=value>", "an environment variable (may be repeated)", collect)
      .option("--port <port>", "the port the container listens on")
      .option("-l, --labels <labels>", "key=value,… (default: run=NAME)", commaList)
      .option("--annotations <key=value>", "an annotation (may be repeated)", collect)
      .option("--restart <policy>", "Always, OnFailure or Never", restartPolicy, "Always")
      .option("--image-pull-policy <policy>", "Always, IfNotPresent or Never")
      .option("-i, --stdin", "connect this terminal's input")
      .option("-t, --tty", "with -i: give the container a terminal")
      .option("--attach", "print what it writes until it ends")
      .option("--rm", "remove the Pod when it has ended; needs -i or --attach")
      .option("-q, --quiet", "print only what the container prints")
      .option("--pod-running-timeout <duration>", "how long to wait for it to run", duration, 60_000)
      .addHelpText(
        "after",
        examples(
          "mini-kube run web --image nginx --port 80",
          "mini-kube run -it --rm look --image busybox -- sh        a shell in a Pod of its own",
          "mini-kube run job --image busybox --restart=Never --attach -- echo done",
          "mini-kube run web --image nginx --dry-run=client -o yaml  only print the manifest",
        ),
      )
      .action(run(runPod)),
};

function restartPolicy(value: string): string {
  if (["Always", "OnFailure", "Never"].includes(value)) return value;
  throw new UsageError(`--restart=${value}: choose Always, OnFailure or Never`);
}

async function runPod(session: Session, name: string, args: string[], o: Options): Promise<void> {
  const interactive = o.attach === true || o.stdin === true;
  if (o.rm && !interactive)
    throw new UsageError("--rm should only be used for attached containers: add -i or --attach");
  if (o.tty && !o.stdin) throw new UsageError("-t needs -i");
  const tell = interactive && !o.dryRun ? { ...o, output: undefined } : o;
  if (!interactive || o.dryRun) {
    await createObject(session, buildPod(name, args, o), tell as WriteFlags);
    return;
  }
  const resource = await session.discovery.byWord("pods");
  const pods = session.resource(resource, session.namespace);
  await pods.create(buildPod(name, args, o), { fieldManager: "mini-kube-run", fieldValidation: "Strict" });
  try {
    const code = await attach(session, resource, { name, o });
    if (code !== 0) throw new CliError("", code);
  } finally {
    if (o.rm) {
      await pods.delete(name, { gracePeriodSeconds: 1 });
      if (!o.quiet) await session.say(`pod ${JSON.stringify(name)} deleted`);
    }
  }
}

export function buildPod(name: string, args: readonly string[], o: Omit<Options, "podRunningTimeout">): ApiObject {
  const pairs = (list: readonly string[] = []) =>
    list.map((text) => {
      const equals = text.indexOf("=");
      if (equals <= 0) throw new UsageError(`${JSON.stringify(text)} is not of the form key=value`);
      return [text.slice(0, equals), text.slice(equals + 1)] as const;
    });
  const env = pairs(o.env).map(([key, value]) => ({ name: key, value }));
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels: o.labels ? Object.fromEntries(pairs(o.labels)) : { run: name },
      ...(o.annotations && { annotations: Object.fromEntries(pairs(o.annotations)) }),
    },
    spec: {
      containers: [
        {
          name,
          image: o.image,
          ...(args.length > 0 && { [o.command ? "command" : "args"]: args }),
          ...(env.length > 0 && { env }),
          ...(o.port !== undefined && { ports: [{ containerPort: Number(o.port) }] }),
          ...(o.imagePullPolicy !== undefined && { imagePullPolicy: o.imagePullPolicy }),
          ...(o.stdin && { stdin: true, stdinOnce: true }),
          ...(o.tty && { tty: true }),
        },
      ],
      restartPolicy: o.restart,
    },
  };
  return pod as unknown as ApiObject;
}

const ended = (pod: Pod) => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

/** Why it will not start by itself, in the container's own words. */
function stuck(pod: Pod): string | undefined {
  const waiting = pod.status?.containerStatuses?.[0]?.state?.waiting;
  if (
    !waiting?.reason ||
    !/^(ErrImage|ImagePullBackOff|InvalidImageName|Create\w*Error|ErrImageNeverPull)/.test(waiting.reason)
  )
    return undefined;
  return `${waiting.reason}: ${waiting.message ?? ""}`;
}

/** The exit code of the container. */
async function attach(session: Session, resource: KnownResource, x: { name: string; o: Options }): Promise<number> {
  const { name, o } = x;
  const selection = { resource, namespace: session.namespace, name };
  let why: string | undefined;
  const started = (object: ApiObject | undefined) => {
    const pod = object as unknown as Pod | undefined;
    if (!pod) throw new CliError(`pod ${JSON.stringify(name)} was deleted`);
    why = stuck(pod);
    return pod.status?.phase === "Running" || ended(pod) || why !== undefined;
  };
  const pod = (await until(session, selection, { timeoutMs: o.podRunningTimeout, test: started }).catch(
    (error: unknown) => {
      if (error instanceof TimedOut)
        throw new CliError(`timed out waiting for pod ${name} to run; see: mini-kube describe pod ${name}`);
      throw error;
    },
  )) as unknown as Pod;
  if (why !== undefined) throw new CliError(`pod ${name} cannot start: ${why}`);
  const at = { group: "", version: "v1", resource: "pods", namespace: session.namespace, name };
  if (!ended(pod) && o.stdin) {
    if (!o.quiet) session.note("If you don't see a command prompt, try pressing enter.");
    const tty = o.tty === true && session.io.stdin.isTTY === true;
    const query = { container: name, stdin: "true", stdout: "true", ...(tty ? { tty: "true" } : { stderr: "true" }) };
    await runStream(session, { path: pathOf({ ...at, subresource: "attach" }), query, stdin: true, tty });
  } else {
    const query = { container: name, follow: "true" };
    const { body } = await session.transport.raw(
      "GET",
      pathOf({ ...at, subresource: "log" }),
      { query, idleMs: 0 },
      session.io.signal,
    );
    for await (const chunk of body as AsyncIterable<Buffer>) await write(session.io.stdout, chunk);
  }
  if (o.restart === "Always") return 0;
  const last = await until(session, selection, {
    timeoutMs: 60_000,
    test: (p) => p === undefined || ended(p as unknown as Pod),
  });
  return (last as unknown as Pod | undefined)?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode ?? 0;
}
