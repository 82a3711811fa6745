/** What the runtime must look like after a verb has succeeded: saves asking it between the steps of a start. Pure. */
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import type { Pod } from "./facts.ts";

type Sandbox = NonNullable<RuntimePod["sandbox"]>;

export function emptyPod(pod: Pod): RuntimePod {
  const { uid = "", name = "", namespace = "" } = pod.metadata;
  return { uid, name, namespace, containers: [] };
}

export function withSandbox(actual: RuntimePod, sandbox: Sandbox): RuntimePod {
  return { ...actual, sandbox };
}

export function withoutSandbox(actual: RuntimePod): RuntimePod {
  const { sandbox: _, ...rest } = actual;
  return rest;
}

export function withContainer(actual: RuntimePod, c: RuntimeContainer): RuntimePod {
  return { ...actual, containers: [c, ...actual.containers.filter((x) => x.id !== c.id)] };
}

export function withoutContainer(actual: RuntimePod, id: string): RuntimePod {
  return { ...actual, containers: actual.containers.filter((c) => c.id !== id) };
}
