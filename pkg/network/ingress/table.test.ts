import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { certificateFor, hostName, match, routingPath } from "./match.ts";
import { settingsOf } from "./settings.ts";
import { isOurs } from "./table.ts";
import { type Condition, ingress, type Rule, service, slice, tableOf, toService } from "./testing/objects.ts";

const names = (rules: readonly Rule[]) => [...new Set(rules.map(([, , name]) => name))];
const table = (rules: readonly Rule[], more = {}) =>
  tableOf({ ingresses: [ingress("main", rules, more)], services: names(rules).map(service) });
const led = (t: ReturnType<typeof table>, host: string, path: string) =>
  match(t, host, path)?.backend.name.replace(/^default\/(.*):.*/, "$1");

describe("paths of one host", () => {
  const rules: Rule[] = [
    ["", "/", "root"],
    ["", "/foo", "foo"],
    ["", "/foo/bar/", "bar"],
    ["", "Exact /foo", "exactly"],
    ["", "Exact /slash/", "slash"],
    ["", "ImplementationSpecific /impl", "impl"],
  ];
  test.each([
    ["/", "root"],
    ["/foo", "exactly"],
    ["/foo/", "foo"],
    ["/foo/x", "foo"],
    ["/foobar", "root"],
    ["/foo/bar", "bar"],
    ["/foo/bar/", "bar"],
    ["/foo/bar/baz", "bar"],
    ["/foo/barz", "foo"],
    ["/slash", "root"],
    ["/slash/", "slash"],
    ["/impl/x", "impl"],
    ["/FOO", "root"],
  ])("%s → %s", (path, wanted) => expect(led(table(rules), "any", path)).toBe(wanted));
});

describe("hosts", () => {
  const rules: Rule[] = [
    ["a.example.com", "/", "a"],
    ["a.example.com", "/only", "only"],
    ["*.example.com", "/wild", "wild"],
    ["*.example.com", "/", "star"],
    ["", "/everywhere", "any"],
    ["B.example.org", "/b", "b"],
  ];
  test.each([
    ["a.example.com", "/x", "a"],
    ["a.example.com", "/wild", "a"],
    ["b.example.com", "/wild/1", "wild"],
    ["b.example.com", "/x", "star"],
    ["x.b.example.com", "/x", undefined],
    ["example.com", "/x", undefined],
    ["example.com", "/everywhere", "any"],
    ["b.example.org", "/b", "b"],
    ["b.example.org", "/everywhere", "any"],
    ["b.example.org", "/else", undefined],
  ])("%s%s → %s", (host, path, wanted) => expect(led(table(rules), host, path)).toBe(wanted));

  test("the default backend of its Ingress takes what no rule takes", () => {
    const first = ingress("first", [["a.com", "/a", "a"]], { spec: { defaultBackend: toService("of-a") } });
    first.spec = { ...first.spec, rules: ingress("", [["a.com", "/a", "a"]]).spec?.rules ?? [] };
    const all = ingress("all", [], { metadata: { name: "all", namespace: "default" } });
    all.spec = { defaultBackend: toService("of-all") };
    all.metadata.creationTimestamp = "2025-01-01T00:00:00Z";
    const t = tableOf({ ingresses: [first, all], services: ["a", "of-a", "of-all"].map(service) });
    expect(led(t, "a.com", "/a")).toBe("a");
    expect(led(t, "a.com", "/b")).toBe("of-a");
    expect(led(t, "b.com", "/a")).toBe("of-all");
  });

  test.each([
    ["Example.com", "example.com"],
    ["example.com.:8443", "example.com"],
    ["[::1]:80", "[::1]"],
    ["127.0.0.1:", "127.0.0.1"],
    ["", undefined],
    [undefined, undefined],
    ["a b", undefined],
    ["a/b", undefined],
    ["a:b", undefined],
  ])("the header %j names %j", (header, name) => expect(hostName(header)).toBe(name));
});

describe("what of the target counts", () => {
  test.each([
    ["/a?b=/../c", "/a"],
    ["/a/../b", "/b"],
    ["/a/%2e%2e/b", "/b"],
    ["/a/..%2fb", "/b"],
    ["//a///b/", "/a/b/"],
    ["/a/./b/.", "/a/b/"],
    ["/../../etc", "/etc"],
    ["/a\\..\\b", "/b"],
    ["/%41", "/A"],
    ["/a%zz", undefined],
    ["/a%00", undefined],
    ["*", undefined],
    ["", undefined],
    ["/.hidden", "/.hidden"],
  ])("%s is read as %s", (target, path) => expect(routingPath(target)).toBe(path));

  test("never throws; what is read is a clean path, and reads as itself", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webPath(), fc.stringMatching(/^\/[./%\\2ef]{0,12}$/)), (target) => {
        const path = routingPath(target);
        if (path === undefined) return;
        expect(path).toMatch(/^\//);
        expect(path.split("/")).not.toContain("..");
        const again = /[%?#]/.test(path) ? path : routingPath(path);
        expect(again).toBe(path);
      }),
    );
  });
});

test("the longest prefix wins, whatever the order of the rules (against the plain definition)", () => {
  const segment = fc.constantFrom("a", "b", "ab");
  const path = fc.array(segment, { maxLength: 4 }).map((s) => `/${s.join("/")}`);
  fc.assert(
    fc.property(fc.uniqueArray(path, { minLength: 1, maxLength: 8 }), path, (prefixes, asked) => {
      const t = table(prefixes.map((p): Rule => ["", p, `s${prefixes.indexOf(p)}`]));
      const fits = prefixes.filter((p) => p === "/" || asked === p || asked.startsWith(`${p}/`));
      const longest = fits.toSorted((x, y) => y.length - x.length)[0];
      expect(led(t, "h", asked)).toBe(longest === undefined ? undefined : `s${prefixes.indexOf(longest)}`);
    }),
  );
});

describe("endpoints", () => {
  const of = (endpoints: Record<string, Condition>) => {
    const t = tableOf({
      ingresses: [ingress("i", [["", "/", "web"]])],
      services: [service("web")],
      slices: [slice("web", endpoints)],
    });
    return match(t, "h", "/")?.backend;
  };
  test.each<[string, Record<string, Condition>, string[]]>([
    ["ready ones", { "10.0.0.2": "ready", "10.0.0.1": "ready", "10.0.0.3": "starting" }, ["10.0.0.1", "10.0.0.2"]],
    ["those that leave are taken out at once", { "10.0.0.1": "ready", "10.0.0.2": "leaving" }, ["10.0.0.1"]],
    ["but serve while nobody else does", { "10.0.0.1": "starting", "10.0.0.2": "leaving" }, ["10.0.0.2"]],
    ["the dead never", { "10.0.0.1": "dead" }, []],
  ])("%s", (_, endpoints, wanted) => {
    expect(of(endpoints)?.endpoints.map((e) => e.key)).toEqual(wanted.map((ip) => `${ip}:8080`));
  });

  test("none is said, and no problem of the Ingress", () => {
    expect(of({})?.missing).toBe('service "default/web" has no ready endpoints');
    expect(table([["", "/", "web"]]).problems).toEqual([]);
  });

  test("a port by its name, and HTTPS by its appProtocol", () => {
    const named = ingress("i", []);
    named.spec = { defaultBackend: toService("web", "secure") };
    const web = service("web");
    web.spec = { ports: [{ name: "secure", port: 443, appProtocol: "https" }] };
    const of443 = slice("web", { "10.0.0.1": "ready" }, 8443);
    of443.ports = [{ name: "secure", port: 8443, protocol: "TCP" }];
    const t = tableOf({ ingresses: [named], services: [web], slices: [of443] });
    expect(match(t, "h", "/")?.backend.endpoints).toEqual([
      { key: "10.0.0.1:8443", host: "10.0.0.1", port: 8443, tls: true },
    ]);
  });
});

describe("problems, the rest goes on", () => {
  test("a Service that is missing, a port it lacks, a backend that is no Service", () => {
    const odd = ingress("odd", [
      ["a.com", "/", "missing"],
      ["b.com", "/", "web"],
    ]);
    odd.spec?.rules?.push({
      host: "c.com",
      http: { paths: [{ path: "/", pathType: "Prefix", backend: { resource: { kind: "Bucket", name: "b" } } }] },
    });
    odd.spec?.rules?.push({
      host: "d.com",
      http: { paths: [{ path: "/", pathType: "Prefix", backend: toService("web", 81) }] },
    });
    const t = tableOf({ ingresses: [odd], services: [service("web")], slices: [slice("web", { "1.2.3.4": "ready" })] });
    expect(t.problems.map((p) => p.message)).toEqual([
      'service "default/missing" not found',
      "resource backends are not served, only Services",
      'service "default/web" has no port 81',
    ]);
    expect(match(t, "b.com", "/")?.backend.endpoints).toHaveLength(1);
    expect(match(t, "a.com", "/")?.backend.missing).toBe('service "default/missing" not found');
  });

  test("of two that claim one path the older has it, in whatever order they are seen", () => {
    const old = ingress("z-old", [["a.com", "/", "old"]]);
    const young = ingress("a-young", [["a.com", "/", "young"]]);
    young.metadata.creationTimestamp = "2026-02-01T00:00:00Z";
    for (const ingresses of [
      [old, young],
      [young, old],
    ]) {
      const t = tableOf({ ingresses, services: [service("old"), service("young")] });
      expect(led(t, "a.com", "/")).toBe("old");
      expect(t.problems).toEqual([
        {
          ingress: "default/a-young",
          reason: "Conflict",
          message: "a.com/ already leads to default/old:80 by ingress default/z-old",
        },
      ]);
    }
  });

  test("a Secret that is missing: the hosts are served all the same", () => {
    const tls = [{ hosts: ["a.com", "*.b.com"], secretName: "cert" }];
    const i = ingress("i", [["a.com", "/", "web"]]);
    i.spec = { ...i.spec, tls };
    const t = tableOf({ ingresses: [i], services: [service("web")], missing: ["default/cert"] });
    expect(t.problems).toEqual([
      {
        ingress: "default/i",
        reason: "SecretUnavailable",
        message: 'secret "default/cert" not found; its hosts get the default certificate',
      },
    ]);
    expect(["a.com", "x.b.com", "b.com", "x.y.b.com"].map((h) => certificateFor(t, h))).toEqual([
      "default/cert",
      "default/cert",
      undefined,
      undefined,
    ]);
  });
});

test("settings: what is understood holds, what is not is told", () => {
  const i = ingress("i", []);
  i.metadata.annotations = {
    "mini-kube.io/ssl-redirect": "false",
    "mini-kube.io/proxy-body-size": "8Mi",
    "mini-kube.io/proxy-read-timeout": "soon",
  };
  expect(settingsOf(i)).toEqual({
    settings: { redirectToHttps: false, maxBodyBytes: 8 * 1024 * 1024, timeoutMs: 60_000 },
    problems: ['annotation mini-kube.io/proxy-read-timeout: "soon" is not a number of seconds, like 60'],
  });
});

test("ours are those of a class of our controller", () => {
  const classes = { "mini-kube": "mini-kube.io/ingress", nginx: "k8s.io/ingress-nginx" };
  const classOf = (name: string) => {
    const controller = (classes as Record<string, string>)[name];
    return controller === undefined ? undefined : { metadata: { name }, spec: { controller } };
  };
  const of = (ingressClassName?: string, annotation?: string) => ({
    metadata: { name: "i", ...(annotation && { annotations: { "kubernetes.io/ingress.class": annotation } }) },
    spec: { ...(ingressClassName && { ingressClassName }) },
  });
  const ours = [of("mini-kube"), of(undefined, "mini-kube"), of("nginx"), of("gone"), of()];
  expect(ours.map((o) => isOurs(o, classOf))).toEqual([true, true, false, false, false]);
});
