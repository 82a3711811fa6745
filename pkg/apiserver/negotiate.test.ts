import { describe, expect, test } from "@jest/globals";
import { ApiError } from "../api/status.ts";
import { answerForm, bodyEncoding, discoveryForm } from "./negotiate.ts";

const codeOf = (f: () => unknown) => {
  try {
    f();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
  }
  return undefined;
};

describe("content negotiation", () => {
  test.each([
    [undefined, "json", "Object"],
    ["*/*", "json", "Object"],
    ["application/json;stream=watch", "json", "Object"],
    ["application/json;charset=utf-8", "json", "Object"],
    ["application/yaml", "yaml", "Object"],
    ["application/vnd.kubernetes.protobuf,application/json", "json", "Object"],
    [
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
      "json",
      "Table",
    ],
    ["application/json;as=Table;v=v9;g=meta.k8s.io,application/json", "json", "Object"],
    [
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
      "json",
      "PartialObjectMetadata",
    ],
  ])("Accept %s", (accept, encoding, as) => {
    expect(answerForm(accept)).toMatchObject({ encoding, as });
  });

  test("nothing we have is 406", () => {
    expect(codeOf(() => answerForm("application/vnd.kubernetes.protobuf"))).toBe(406);
    expect(codeOf(() => answerForm("application/json;as=Table;v=v9;g=meta.k8s.io"))).toBe(406);
  });

  test.each([
    [
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
      "v2",
    ],
    ["application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", "v2beta1"],
    ["application/json", "legacy"],
    [undefined, "legacy"],
  ])("discovery for %s", (accept, form) => {
    expect(discoveryForm(accept)).toBe(form);
  });

  test("bodies: none said is JSON, YAML is taken, anything else is 415", () => {
    expect(bodyEncoding(undefined)).toBe("json");
    expect(bodyEncoding("application/json; charset=utf-8")).toBe("json");
    expect(bodyEncoding("application/yaml")).toBe("yaml");
    expect(codeOf(() => bodyEncoding("text/csv"))).toBe(415);
  });
});
