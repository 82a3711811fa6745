import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { credentialsFor, keyringOf } from "./keyring.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

const configJson = (auths: object, name = "pull") => ({
  metadata: { name },
  type: "kubernetes.io/dockerconfigjson",
  data: { ".dockerconfigjson": base64(JSON.stringify({ auths })) },
});

/** The user names that an image's pull is tried with, when each place of the keyring has a user of its own name. */
const tried = (places: readonly string[], image: string) => {
  const auths = Object.fromEntries(places.map((p) => [p, { auth: base64(`${p}:pw`) }]));
  return credentialsFor(keyringOf([configJson(auths)]), image).map((a) => `${a.username}:${a.password}`.slice(0, -3));
};

test.each<[image: string, places: string[], tried: string[]]>([
  ["registry.example/app:1", ["registry.example"], ["registry.example"]],
  ["registry.example/app:1", ["other.example"], []],
  ["registry.example:5000/app", ["registry.example"], []],
  ["registry.example:5000/app", ["registry.example:5000"], ["registry.example:5000"]],
  ["127.0.0.1:5000/app@sha256:0", ["http://127.0.0.1:5000"], ["http://127.0.0.1:5000".split(":")[0] ?? ""]],
  ["eu.gcr.io/p/app", ["*.gcr.io", "gcr.io"], ["*.gcr.io"]],
  ["a.b.gcr.io/p/app", ["*.gcr.io"], []],
  ["reg.io/team/app", ["reg.io", "reg.io/team", "reg.io/other"], ["reg.io/team", "reg.io"]],
  ["reg.io/team/app", ["reg.io/v2/", "reg.io/v1/team"], ["reg.io/v1/team", "reg.io/v2/"]],
  ["nginx", ["index.docker.io"], ["index.docker.io"]],
  ["library/nginx:1", ["docker.io", "index.docker.io"], ["index.docker.io"]],
  ["docker.io/library/nginx", ["docker.io"], ["docker.io"]],
  ["quay.io/nginx", ["index.docker.io"], []],
])("%s with credentials for %j is tried with %j", (image, places, expected) => {
  // A user name cannot hold a colon; the part before it tells the places apart well enough.
  const names = (list: string[]) => list.map((p) => p.split(":")[0]);
  expect(tried(places, image).map((p) => p.split(":")[0])).toEqual(names(expected));
});

describe("what a secret holds", () => {
  test("both forms, both ways to write a password", () => {
    const cfg = {
      metadata: { name: "old" },
      type: "kubernetes.io/dockercfg",
      data: { ".dockercfg": base64(JSON.stringify({ "r.io": { username: "u", password: "p:q" } })) },
    };
    const both = [configJson({ "r.io": { auth: base64("v:x:y") } }), cfg];
    expect(credentialsFor(keyringOf(both), "r.io/app")).toEqual([
      { username: "v", password: "x:y", serverAddress: "r.io" },
      { username: "u", password: "p:q", serverAddress: "r.io" },
    ]);
  });

  test("another type's is not looked at, what cannot be read is named", () => {
    expect(keyringOf([{ metadata: { name: "o" }, type: "Opaque", data: { ".dockerconfigjson": "e30=" } }])).toEqual([]);
    const broken = { ...configJson({}, "bad"), data: { ".dockerconfigjson": base64("{") } };
    expect(() => keyringOf([broken])).toThrow(/secret "bad" holds no Docker configuration/);
  });

  test("no place is a surprise: whatever it is, it matches itself or nothing", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z*?.:[\]()+/-]{1,20}$/),
        fc.stringMatching(/^[a-z.]{1,8}(\/[a-z]{1,4})?$/),
        (p, i) => {
          expect(tried([p], i).length).toBeLessThanOrEqual(1);
        },
      ),
    );
  });
});
