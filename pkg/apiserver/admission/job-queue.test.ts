import { expect, test } from "@jest/globals";
import type { Job } from "../../api/generated/types.ts";
import { QUEUE } from "../../api/job-queue.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { ApiServer } from "../server.ts";

const job = (metadata: Job["metadata"], suspend?: boolean): Job => ({
  metadata: { name: "j", ...metadata },
  spec: {
    ...(suspend !== undefined && { suspend }),
    template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "i" }] } },
  },
});

test.each<[string, string, Job, boolean, string | undefined]>([
  ["no queue", "plain", job({}), false, undefined],
  ["a label", "plain", job({ labels: { [QUEUE]: "a" } }), true, undefined],
  ["an annotation", "plain", job({ annotations: { [QUEUE]: "a" } }, false), true, "a"],
  ["the namespace's queue", "team", job({}), true, "team"],
  ["a queue of its own in a namespace with another", "team", job({ labels: { [QUEUE]: "a" } }), true, undefined],
])("with %s", async (_, namespace, made, suspended, annotation) => {
  const store = new MemoryStore();
  const clock = new FakeClock();
  const server = await ApiServer.open({ store, clock, random: seededRandom(1), log: silent });
  const client = new Client(server.transport(), "test");
  await client.resource(namespaces).create({ metadata: { name: "plain" } });
  await client.resource(namespaces).create({ metadata: { name: "team", annotations: { [QUEUE]: "team" } } });
  await clock.advance(0);
  const created = await client.resource(jobs, namespace).create(made);
  expect(created.spec?.suspend).toBe(suspended);
  expect(created.metadata.annotations?.[QUEUE]).toBe(annotation);
  // A Job without labels takes over those of its Pods, in a queue too.
  const own = made.metadata.labels ? QUEUE : "batch.kubernetes.io/job-name";
  expect(Object.keys(created.metadata.labels ?? {})).toContain(own);
  // Later it is nobody's business but its queue's, and whoever may write it.
  const started = await client
    .resource(jobs, namespace)
    .patch("j", "application/merge-patch+json", { spec: { suspend: false } });
  expect(started.spec?.suspend).toBe(false);
  await server.close();
  await store.close();
});
