import { describe, expect, test } from "@jest/globals";
import { BadToken, tokenOwner } from "./authentication.ts";
import { impersonationOf } from "./impersonation.ts";
import { tokenFileAuthenticator } from "./token-file.ts";

describe("token file", () => {
  const authenticate = tokenFileAuthenticator(
    ["# who", "", "t1,alice,u1", 't2,"bob ""the"" b",,"devs, ops"', "t3,carol,u3,solo\r"].join("\n"),
  );
  test.each([
    ["t1", { name: "alice", uid: "u1", groups: [] }],
    ["t2", { name: 'bob "the" b', groups: ["devs", "ops"] }],
    ["t3", { name: "carol", uid: "u3", groups: ["solo"] }],
  ])("%s", async (token, user) => {
    expect(await authenticate(token, ["api"])).toEqual({ user, audiences: ["api"] });
  });

  test("nobody else", async () => {
    for (const token of ["", "t", "t11", "alice", "#"]) expect(await authenticate(token, [])).toBeUndefined();
  });

  test.each(["t1", "t1,alice", ",alice,u"])("a line must say token, user and uid: %s", (line) => {
    expect(() => tokenFileAuthenticator(`a,b,c\n${line}`)).toThrow("line 2: expected at least token,user,uid");
  });
});

describe("tokens of several kinds", () => {
  const nobodys = () => Promise.resolve(undefined);
  const bad = (why: string) => () => Promise.reject(new BadToken(why));
  const good = () => Promise.resolve({ user: { name: "eve", groups: ["g"] }, audiences: ["a"] });

  test("the first that takes it counts, and adds the group of all who are known", async () => {
    expect(await tokenOwner("t", ["a"], [nobodys, bad("old"), good])).toEqual({
      user: { name: "eve", groups: ["g", "system:authenticated"] },
      audiences: ["a"],
    });
  });

  test.each([
    ["invalid bearer token", [nobodys]],
    ["[invalid bearer token, old, used]", [bad("old"), nobodys, bad("used")]],
  ])("%s", async (message, authenticators) => {
    await expect(tokenOwner("t", [], authenticators)).rejects.toThrow(new BadToken(message));
  });

  test("what broke is no bad token", async () => {
    await expect(tokenOwner("t", [], [() => Promise.reject(new TypeError("bug")), good])).rejects.toThrow(TypeError);
  });
});

describe("impersonation", () => {
  const admin = { name: "admin", groups: [] };
  const of = (headers: Record<string, string[]>) => impersonationOf(headers, admin);
  const needs = (headers: Record<string, string[]>) =>
    of(headers)?.needs.map((a) => {
      const resource = a.subresource ? `${a.resource}/${a.subresource}` : a.resource;
      return `${a.verb} ${a.apiGroup}/${resource} ${a.namespace}/${a.name}`;
    });

  test("no header, nobody else", () => {
    expect(of({ authorization: ["Bearer x"] })).toBeUndefined();
  });

  test("each thing claimed needs its own right", () => {
    const headers = {
      "impersonate-user": ["eve"],
      "impersonate-group": ["a", "b"],
      "impersonate-uid": ["u1"],
      "impersonate-extra-acme.com%2fproject": ["p", "q"],
    };
    expect(needs(headers)).toEqual([
      "impersonate /users /eve",
      "impersonate /groups /a",
      "impersonate /groups /b",
      "impersonate authentication.k8s.io/userextras/acme.com/project /p",
      "impersonate authentication.k8s.io/userextras/acme.com/project /q",
      "impersonate authentication.k8s.io/uids /u1",
    ]);
    expect(of(headers)?.user).toEqual({
      name: "eve",
      uid: "u1",
      groups: ["a", "b", "system:authenticated"],
      extra: { "acme.com/project": ["p", "q"] },
    });
  });

  test("a ServiceAccount is one, with its groups", () => {
    const headers = { "impersonate-user": ["system:serviceaccount:ns:bot"] };
    expect(needs(headers)).toEqual(["impersonate /serviceaccounts ns/bot"]);
    expect(of(headers)?.user.groups).toEqual([
      "system:serviceaccounts",
      "system:serviceaccounts:ns",
      "system:authenticated",
    ]);
    expect(of({ ...headers, "impersonate-group": ["x"] })?.user.groups).toEqual(["x", "system:authenticated"]);
  });

  test.each([
    ["eve", [], ["system:authenticated"]],
    ["eve", ["system:unauthenticated"], ["system:unauthenticated"]],
    ["eve", ["system:authenticated"], ["system:authenticated"]],
    ["system:anonymous", [], ["system:unauthenticated"]],
  ])("%s of %j is in %j", (name, groups, all) => {
    const headers = { "impersonate-user": [name], ...(groups.length > 0 && { "impersonate-group": groups }) };
    expect(of(headers)?.user.groups).toEqual(all);
  });

  test.each([["impersonate-group"], ["impersonate-uid"], ["impersonate-extra-x"]])("%s alone is nobody", (header) => {
    expect(() => of({ [header]: ["v"] })).toThrow("without impersonating a user");
  });
});
