/** All commands, in the order of the help. A new one is one line here and one file in commands/. */
import type { CommandEntry } from "./command.ts";

const OBJECTS = "Objects";
const LOOK = "Looking around";
const CLUSTER = "Client";

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "apply",
    group: OBJECTS,
    summary: "Create or change objects so that they are as their manifests say",
    load: () => import("./commands/apply.ts"),
  },
  {
    name: "create",
    group: OBJECTS,
    summary: "Create objects from manifests or from flags",
    load: () => import("./commands/create.ts"),
  },
  {
    name: "get",
    group: OBJECTS,
    summary: "List objects, as a table or in another form",
    load: () => import("./commands/get.ts"),
  },
  {
    name: "describe",
    group: OBJECTS,
    summary: "Show one object in detail, with its events",
    load: () => import("./commands/describe.ts"),
  },
  {
    name: "delete",
    group: OBJECTS,
    summary: "Delete objects by name, label or manifest",
    load: () => import("./commands/delete.ts"),
  },
  {
    name: "edit",
    group: OBJECTS,
    summary: "Change an object in your editor",
    load: () => import("./commands/edit.ts"),
  },
  {
    name: "label",
    group: OBJECTS,
    summary: "Set or remove labels",
    load: () => import("./commands/label.ts"),
  },
  {
    name: "annotate",
    group: OBJECTS,
    summary: "Set or remove annotations",
    load: () => import("./commands/annotate.ts"),
  },
  {
    name: "wait",
    group: OBJECTS,
    summary: "Wait until objects meet a condition",
    load: () => import("./commands/wait.ts"),
  },
  {
    name: "run",
    group: LOOK,
    summary: "Run an image in a Pod",
    load: () => import("./commands/run.ts"),
  },
  {
    name: "logs",
    group: LOOK,
    summary: "Print what containers wrote",
    load: () => import("./commands/logs.ts"),
  },
  {
    name: "exec",
    group: LOOK,
    summary: "Run a command in a container",
    load: () => import("./commands/exec.ts"),
  },
  {
    name: "images",
    group: LOOK,
    summary: "List the nodes' images, their sizes and users",
    load: () => import("./commands/images.ts"),
  },
  {
    name: "image",
    group: LOOK,
    summary: "Load, build and copy images; no registry needed",
    load: () => import("./commands/image.ts"),
  },
  {
    name: "port-forward",
    group: LOOK,
    summary: "Lead ports of this machine to Pods, Services and Deployments",
    load: () => import("./commands/port-forward.ts"),
  },
  {
    name: "proxy",
    group: LOOK,
    summary: "Serve the API on this machine, with your rights",
    load: () => import("./commands/proxy.ts"),
  },
  {
    name: "template",
    group: LOOK,
    summary: "Keep a file up to date with the cluster, and reload who reads it",
    load: () => import("./commands/template.ts"),
  },
  {
    name: "queue",
    group: LOOK,
    summary: "Show which Jobs wait in queues, their places, and for what",
    load: () => import("./commands/queue.ts"),
  },
  {
    name: "top",
    group: LOOK,
    summary: "Show the CPU and memory that nodes and Pods use",
    load: () => import("./commands/top.ts"),
  },
  {
    name: "explain",
    group: LOOK,
    summary: "Describe the fields of a kind",
    load: () => import("./commands/explain.ts"),
  },
  {
    name: "api-resources",
    group: LOOK,
    summary: "List the kinds the server has",
    load: () => import("./commands/api-resources.ts"),
  },
  {
    name: "auth",
    group: CLUSTER,
    summary: "Ask who you are, and what you may do",
    load: () => import("./commands/auth.ts"),
  },
  {
    name: "config",
    group: CLUSTER,
    summary: "Show the kubeconfig, choose a namespace",
    load: () => import("./commands/config.ts"),
  },
  {
    name: "version",
    group: CLUSTER,
    summary: "Print the versions of client and server",
    load: () => import("./commands/version.ts"),
  },
  {
    name: "completion",
    group: CLUSTER,
    summary: "Print the completion script of a shell",
    load: () => import("./commands/completion.ts"),
  },
];
