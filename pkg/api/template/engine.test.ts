import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { compileTemplate, TemplateError } from "./engine.ts";

const slice = (service: string, addresses: Record<string, boolean>) => ({
  metadata: { name: `${service}-1`, labels: { "kubernetes.io/service-name": service } },
  addressType: "IPv4",
  ports: [
    { name: "metrics", port: 9090 },
    { name: "http", port: 8080 },
  ],
  endpoints: Object.entries(addresses).map(([address, ready]) => ({
    addresses: [address],
    conditions: { ready },
    nodeName: "n1",
    targetRef: { kind: "Pod", name: `pod-${address}` },
  })),
});
const data = {
  endpointslices: [
    slice("web", { "10.0.0.2": true, "10.0.0.1": true, "10.0.0.3": false }),
    slice("db", { "10.0.1.1": true }),
  ],
  services: [
    { metadata: { name: "web", labels: { tier: "front" } }, spec: { ports: [{ port: 80 }] } },
    { metadata: { name: "db", labels: {} }, spec: { ports: [{ port: 5432 }] } },
  ],
  values: { port: "80" },
};
const render = (text: string, more = {}) => compileTemplate(text).render({ ...data, ...more });

describe("a template", () => {
  test.each([
    ["a value", "listen {{ values.port }};", "listen 80;"],
    [
      "the endpoints of a Service",
      '{% assign all = endpointslices | endpoints: "web", "http" %}{% for e in all %}{{ e.address }}:{{ e.port }} {{ e.pod }};{% endfor %}',
      "10.0.0.1:8080 pod-10.0.0.1;10.0.0.2:8080 pod-10.0.0.2;",
    ],
    ["no endpoints", '{% assign all = endpointslices | endpoints: "none" %}{{ all.size }}', "0"],
    [
      "objects by label",
      '{% assign front = services | labelled: "tier", "front" %}{{ front | map: "metadata.name" | join }}',
      "web",
    ],
    ["objects in order", '{{ services | sort: "metadata.name" | map: "metadata.name" | join: "," }}', "db,web"],
    ["JSON and base64", '{{ values | json }} {{ "a" | base64_encode | base64_decode }}', '{"port":"80"} a'],
    ["what may be missing", '{{ values.host | default: "localhost" }}{% if values.tls %}!{% endif %}', "localhost"],
  ])("%s", (_, text, wanted) => expect(render(text)).toBe(wanted));

  test.each([
    ["a variable that is not there", "a\nb {{ values.prot }}", /^x:2:\d+: undefined variable: values\.prot$/],
    ["a tag that is not closed", "a\n\n{% for e in services %}", /^x:3:\d+: tag .* not closed/],
    ["a filter that is not there", "{{ 1 | shout }}", /^x:1:\d+: undefined filter: shout$/],
    ["a file", '{% include "/etc/passwd" %}', /^x:1:\d+: .*ENOENT/],
    ["a prototype", "{{ values.constructor.name }}", /^x:1:\d+: undefined variable/],
    [
      "work without end",
      "{% for a in (1..9999) %}{% for b in (1..9999) %}{% for c in (1..999) %}x{% endfor %}{% endfor %}{% endfor %}",
      /limit exceeded/,
    ],
  ])("%s is an error with its place", (_, text, wanted) => {
    let error: unknown;
    try {
      render(text);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(TemplateError);
    expect((error as TemplateError).at("x")).toMatch(wanted);
  });

  test("whatever it says, it gives a text or such an error", () => {
    const part = fc.oneof(
      fc.constantFrom("{{", "}}", "{%", "%}", "|", "values", ".", "for", "in", "endfor", "assign", '"', ":", " "),
      fc.string({ maxLength: 4 }),
    );
    const outcome = (text: string) => {
      try {
        return typeof render(text);
      } catch (error) {
        return error instanceof TemplateError ? "string" : error;
      }
    };
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => expect(outcome(parts.join(""))).toBe("string")),
    );
  });
});
