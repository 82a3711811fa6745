import { expect, test } from "@jest/globals";
import { resolve } from "node:path";
import { absolute } from "./install.ts";

test.each<[string[], string[]]>([
  [
    ["--data-dir", "data"],
    ["--data-dir", resolve("data")],
  ],
  [["--audit-log=log/a"], [`--audit-log=${resolve("log/a")}`]],
  [
    ["--pki-dir", "/etc/pki", "--encryption-provider-config=./e.yaml"],
    ["--pki-dir", "/etc/pki", `--encryption-provider-config=${resolve("e.yaml")}`],
  ],
  [
    ["--store", "lmdb", "--node-name=a.b", "--port", "7443"],
    ["--store", "lmdb", "--node-name=a.b", "--port", "7443"],
  ],
  [
    ["--anonymous-auth=false", "--data-dir"],
    ["--anonymous-auth=false", "--data-dir"],
  ],
])("%j: files are named from the root, there or not", (flags, expected) => {
  expect(flags.map(absolute)).toEqual(expected);
});
