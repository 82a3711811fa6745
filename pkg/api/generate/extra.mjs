/**
 * Types that the client library's models lack. Source: types.go of k8s.io/metrics/pkg/apis/metrics/v1beta1 v0.36.0.
 */
export const METRICS_PACKAGE = "io.k8s.metrics.pkg.apis.metrics.v1beta1";

const APIVERSION =
  "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND =
  "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const USAGE = "The memory usage is the memory working set.";
const METRICS_TIME =
  "The following fields define time interval from which metrics were collected from the interval [Timestamp-Window, Timestamp].";

/** A field's text is `type description`; `!` after its name marks a required one. */
const TYPES = {
  ContainerMetrics: [
    "ContainerMetrics sets resource usage metrics of a container.",
    {
      "name!": "string Container name corresponding to the one from pod.spec.containers.",
      "usage!": `{}quantity ${USAGE}`,
    },
  ],
  NodeMetrics: [
    "NodeMetrics sets resource usage metrics of a node.",
    {
      apiVersion: `string ${APIVERSION}`,
      kind: `string ${KIND}`,
      metadata: "ObjectMeta Standard object's metadata.",
      "timestamp!": `time ${METRICS_TIME}`,
      "usage!": `{}quantity ${USAGE}`,
      "window!": "string The interval, as a duration.",
    },
  ],
  NodeMetricsList: [
    "NodeMetricsList is a list of NodeMetrics.",
    {
      apiVersion: `string ${APIVERSION}`,
      "items!": "[]NodeMetrics List of node metrics.",
      kind: `string ${KIND}`,
      metadata: "ListMeta Standard list metadata.",
    },
  ],
  PodMetrics: [
    "PodMetrics sets resource usage metrics of a pod.",
    {
      apiVersion: `string ${APIVERSION}`,
      "containers!": "[]ContainerMetrics Metrics for all containers are collected within the same time window.",
      kind: `string ${KIND}`,
      metadata: "ObjectMeta Standard object's metadata.",
      "timestamp!": `time ${METRICS_TIME}`,
      "window!": "string The interval, as a duration.",
    },
  ],
  PodMetricsList: [
    "PodMetricsList is a list of PodMetrics.",
    {
      apiVersion: `string ${APIVERSION}`,
      "items!": "[]PodMetrics List of pod metrics.",
      kind: `string ${KIND}`,
      metadata: "ListMeta Standard list metadata.",
    },
  ],
};

/** @returns {import("./models.mjs").Model[]} */
export function extraModels() {
  return Object.entries(TYPES).map(([name, [description, fields]]) => ({
    model: `V1beta1${name}`,
    name,
    goName: name,
    version: "v1beta1",
    description,
    fields: Object.entries(fields).map(([field, text]) => {
      const [type = "", ...words] = text.split(" ");
      return {
        name: field.replace("!", ""),
        type,
        required: field.endsWith("!"),
        description: words.join(" "),
      };
    }),
  }));
}
