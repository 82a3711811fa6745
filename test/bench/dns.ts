/** How many names a node's DNS resolves on one core, and how long the slowest of a hundred wait. */
import { createSocket } from "node:dgram";
import { writeQuery } from "../../pkg/network/dns/message.ts";
import { Child } from "./child.ts";
import type { DnsJob, DnsPlace } from "./dns-server.ts";
import { quantile, Report, round } from "./report.ts";

const SERVICES = [10, 10_000];
const SECONDS = 4;
/** Enough to keep the server busy, few enough to see how long one waits. */
const IN_FLIGHT = 32;
const RESEND_MS = 500;

interface Figures {
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
}

/** Questions that wait for their answers one after the other, so many of them at a time. */
function ask(at: DnsPlace, names: readonly string[]): Promise<Figures> {
  const questions = names.map((name, id) => writeQuery(id & 0xffff, { name, type: "A" }));
  const socket = createSocket("udp4");
  const [times, sentAt]: [number[], Map<number, number>] = [[], new Map()];
  let [next, lost] = [0, 0];
  const send = () => {
    const id = next++ & 0xffff;
    const question = Buffer.from(questions[id % questions.length] ?? "");
    question.writeUInt16BE(id, 0);
    sentAt.set(id, performance.now());
    socket.send(question, at.port, at.address);
  };
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (bytes) => {
      const sent = sentAt.get(bytes.readUInt16BE(0));
      if (sent === undefined) return;
      sentAt.delete(bytes.readUInt16BE(0));
      times.push(performance.now() - sent);
      send();
    });
    const started = performance.now();
    // UDP may lose a message, and with it one of those in flight.
    const replace = setInterval(() => {
      for (const [id, sent] of sentAt) {
        if (performance.now() - sent < RESEND_MS) continue;
        sentAt.delete(id);
        lost++;
        send();
      }
    }, RESEND_MS);
    setTimeout(() => {
      clearInterval(replace);
      const seconds = (performance.now() - started) / 1000;
      socket.close();
      resolve({ rate: times.length / seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99), lost });
    }, SECONDS * 1000);
    for (let i = 0; i < IN_FLIGHT; i++) send();
  });
}

async function measure(job: DnsJob): Promise<Figures> {
  const child = new Child("dns-server.ts");
  try {
    const at = await child.ask<DnsPlace>(job);
    const names = Array.from(
      { length: Math.min(job.services ?? 100, 1000) },
      (_, n) => `service-${n}.apps.svc.cluster.local`,
    );
    await ask(at, names); // warms up
    return await ask(at, names);
  } finally {
    await child.end();
  }
}

const text = (f: Figures) =>
  `${round(f.rate)} questions/s, p50 ${round(f.p50, 2)} ms, p99 ${round(f.p99, 2)} ms${f.lost ? `, ${f.lost} lost` : ""}`;

export async function benchDns(): Promise<Report> {
  const report = new Report("DNS of a node, one core", "an echo over UDP");
  const echo = await measure({});
  for (const services of SERVICES) {
    const own = await measure({ services });
    report.row({
      what: `A of one of ${services} Services, ${IN_FLIGHT} in flight`,
      ours: text(own),
      peer: text(echo),
      ratio: `${round(own.rate / echo.rate, 2)} ×`,
    });
  }
  return report;
}
