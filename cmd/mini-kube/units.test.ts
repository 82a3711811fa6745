import { describe, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { PROGRAMS, quoted, unitName, unitText } from "./units.ts";

const unit = (program: (typeof PROGRAMS)[number], ...flags: string[]) =>
  unitText({ program, node: "/usr/bin/node", script: "/usr/share/mk/main.js", flags, home: "/var/lib/mk home" });

test("the unit of a whole cluster on one machine", () => {
  expect(unit("up", "--port", "7443")).toBe(`[Unit]
Description=mini-kube: a cluster on this machine
Wants=network-online.target
After=network-online.target docker.service
Wants=docker.service
# It is to come back whatever happens, and however often.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/usr/bin/node /usr/share/mk/main.js up --port 7443
Environment="MINI_KUBE_HOME=/var/lib/mk home"
Restart=always
RestartSec=2
TimeoutStopSec=60
LimitNOFILE=1048576
KillMode=process
OOMScoreAdjust=-900
TasksMax=infinity
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`);
});

describe("each program's unit", () => {
  test.each(PROGRAMS)("%s comes back, and has time to end", (program) => {
    const text = unit(program);
    expect(text).toMatch(/^Restart=always$/m);
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1])).toBeGreaterThan(10);
    const runsPods = program === "up" || program === "agent";
    expect(/^KillMode=process$/m.test(text)).toBe(runsPods);
    expect(/^CapabilityBoundingSet=$/m.test(text)).toBe(!runsPods);
  });
});

test("what is written is named: nothing else can be", () => {
  const text = unit("apiserver", "--pki-dir", "/srv/pki", "--data-dir=/srv/data", "--audit-log", "/srv/log/a.log");
  expect(text).toMatch(
    /^ReadWritePaths=-\/etc\/mini-kube -\/var\/log\/mini-kube -\/srv\/pki -\/srv\/data -\/srv\/log$/m,
  );
});

// Where there is no systemd its own judgement cannot be had; the texts above are the same everywhere.
const judged = existsSync("/usr/bin/systemd-analyze") ? describe : describe.skip;

judged("systemd-analyze finds nothing wrong", () => {
  test.each(PROGRAMS)("with %s", (program) => {
    const dir = mkdtempSync(join(tmpdir(), "units-"));
    try {
      const file = join(dir, unitName(program));
      const text = unit(program, "--store", "etcd://a:2379,b:2379", "100% of $HOME\"'\\");
      // It looks whether the program is there.
      writeFileSync(file, text.replace("/usr/bin/node", "/bin/sh"));
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
      expect({ status, stderr: stderr.split("\n").filter((l) => l.includes(unitName(program))) }).toEqual({
        status: 0,
        stderr: [],
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("a word of the command line", () => {
  test.each([
    ["--store=etcd://a:2379,b:2379", "--store=etcd://a:2379,b:2379"],
    ["a b", '"a b"'],
    ["100%", "100%%"],
    ["$HOME", "$$HOME"],
    ['say "hi" \\', '"say \\"hi\\" \\\\"'],
    ["", '""'],
  ])("%s", (word, expected) => expect(quoted(word)).toBe(expected));

  test("is always one", () =>
    fc.assert(fc.property(fc.string(), (word) => expect(words(quoted(word))).toEqual([word]))));
});

/** As systemd.service(5) reads them: quotes, backslashes, and doubled `%` and `$`. */
function words(line: string): string[] {
  const found = line.match(/"(?:[^"\\]|\\.)*"|[^\s"]+/g) ?? [];
  const escapes: Readonly<Record<string, string>> = { n: "\n" };
  return found.map((w) =>
    (w.startsWith('"') ? w.slice(1, -1).replaceAll(/\\(.)/g, (_, c: string) => escapes[c] ?? c) : w)
      .replaceAll("%%", "%")
      .replaceAll("$$", () => "$"),
  );
}
