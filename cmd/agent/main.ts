#!/usr/bin/env node
/** The program `mini-kube-agent`: makes a node of this machine. */
import { DEFAULT_AGENT_DIR } from "../component/agent-home.ts";
import { address, nodeLabels, nodeTaints, portOrAny, portOrNone } from "../component/flags.ts";
import { type AgentFlags, runNodeProgram } from "../component/agent-program.ts";
import { runProgram } from "../component/program.ts";
import { defineNodeFlags } from "../mini-kube/node-flags.ts";

const NAME = "mini-kube-agent";

await runProgram<AgentFlags>({
  name: NAME,
  summary: "Runs the Pods of this machine, on its Docker daemon, and makes them found.",
  observeAddress: "127.0.0.1:10248",
  examples: [
    `${NAME} --kubeconfig /var/lib/mini-kube/agent/kubeconfig --bootstrap-kubeconfig /etc/mini-kube/bootstrap.kubeconfig`,
    `${NAME} … --node-labels zone=a,disk=ssd --register-with-taints dedicated=web:NoSchedule`,
  ],
  define: (c) => {
    c.option("--kubeconfig <file>", "where the API servers are, and who this node is (default: DATA/kubeconfig)")
      .option("--bootstrap-kubeconfig <file>", "with a token, to get the first certificate where there is none")
      .option("--node-name <name>", "this machine's name as a Node (default: its host name)")
      .option(
        "--address <ip>",
        "where others reach this node (default: as the API servers see it)",
        address("--address"),
      )
      .option("--port <port>", "where its own endpoint is served; 0: any free one", portOrAny, 10250)
      .option("--data-dir <dir>", "certificates, and the volumes of Pods", DEFAULT_AGENT_DIR)
      .option("--node-labels <labels>", "key=value,…", nodeLabels)
      .option("--register-with-taints <taints>", "key=value:Effect,…, when the Node is first made", nodeTaints)
      .option("--ingress-kubeconfig <file>", "who the ingress is; without it there is none on this node")
      .option("--ingress-http-port <port>", "where Ingresses are served, or none (default: 80)", portOrNone)
      .option("--ingress-https-port <port>", "the same by TLS, or none (default: 443)", portOrNone);
    defineNodeFlags((flag, help) => void c.option(flag, help));
  },
  run: (flags, running) => runNodeProgram(flags, running),
});
