/** What `restricted` asks for beyond `baseline`: good practice against the ways out that nobody knows yet. */
import { badSeccomp } from "./baseline.ts";
import { type AnyContainer, type Check, containersOf } from "./pod-shape.ts";
import { containers, plural, quoted, setters, sorted } from "./words.ts";

export const allowPrivilegeEscalation: Check = (pod) => {
  const bad = containersOf(pod).filter((c) => c.securityContext?.allowPrivilegeEscalation !== false);
  if (bad.length === 0) return undefined;
  return {
    reason: "allowPrivilegeEscalation != false",
    detail: `${containers(bad)} must set securityContext.allowPrivilegeEscalation=false`,
  };
};

export const capabilitiesRestricted: Check = (pod) => {
  const all = containersOf(pod);
  const beyond = (c: AnyContainer) =>
    (c.securityContext?.capabilities?.add ?? []).filter((name) => name !== "NET_BIND_SERVICE");
  const keeping = all.filter((c) => !c.securityContext?.capabilities?.drop?.includes("ALL"));
  const adding = all.filter((c) => beyond(c).length > 0);
  const details = [
    ...(keeping.length ? [`${containers(keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding.length
      ? [
          `${containers(adding)} must not include ${quoted(sorted(adding.flatMap(beyond)))} in securityContext.capabilities.add`,
        ]
      : []),
  ];
  return details.length ? { reason: "unrestricted capabilities", detail: details.join("; ") } : undefined;
};

/** Of baseline too. */
export const procMount: Check = (pod) => {
  const typeOf = (c: AnyContainer) => c.securityContext?.procMount ?? "Default";
  const bad = containersOf(pod).filter((c) => typeOf(c) !== "Default");
  if (bad.length === 0) return undefined;
  return {
    reason: "procMount",
    detail: `${containers(bad)} must not set securityContext.procMount to ${quoted(sorted(bad.map(typeOf)))}`,
  };
};

const VOLUME_TYPES: readonly string[] = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

export const restrictedVolumes: Check = ({ spec }) => {
  const typeOf = (v: object) => Object.keys(v).find((key) => key !== "name") ?? "unknown";
  const bad = (spec.volumes ?? []).filter((v) => !Object.keys(v).some((key) => VOLUME_TYPES.includes(key)));
  if (bad.length === 0) return undefined;
  const types = sorted(bad.map(typeOf));
  const names = `${plural("volume", "volumes", bad.length)} ${quoted(bad.map((v) => v.name))}`;
  const what = plural("restricted volume type", "restricted volume types", types.length);
  return {
    reason: "restricted volume types",
    detail: `${names} ${plural("uses", "use", bad.length)} ${what} ${quoted(types)}`,
  };
};

export const runAsNonRoot: Check = (pod) => {
  const reason = "runAsNonRoot != true";
  const own = pod.spec.securityContext?.runAsNonRoot;
  const valueOf = (c: AnyContainer) => c.securityContext?.runAsNonRoot;
  const root = containersOf(pod).filter((c) => valueOf(c) === false);
  if (own === false || root.length) {
    return { reason, detail: `${setters(own === false, root)} must not set securityContext.runAsNonRoot=false` };
  }
  const silent = own ? [] : containersOf(pod).filter((c) => valueOf(c) === undefined);
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${containers(silent)} must set securityContext.runAsNonRoot=true` };
};

export const runAsUser: Check = (pod) => {
  const own = pod.spec.securityContext?.runAsUser === 0;
  const bad = containersOf(pod).filter((c) => c.securityContext?.runAsUser === 0);
  if (!own && bad.length === 0) return undefined;
  return { reason: "runAsUser=0", detail: `${setters(own, bad)} must not set runAsUser=0` };
};

export const seccompRestricted: Check = (pod) => {
  const reason = "seccompProfile";
  const own = pod.spec.securityContext?.seccompProfile?.type;
  const typeOf = (c: AnyContainer) => c.securityContext?.seccompProfile?.type;
  const bad = containersOf(pod).filter((c) => badSeccomp(typeOf(c)));
  if (badSeccomp(own) || bad.length) {
    const types = sorted([...(badSeccomp(own) ? [own ?? ""] : []), ...bad.map((c) => typeOf(c) ?? "")]);
    const who = setters(badSeccomp(own), bad);
    return { reason, detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(types)}` };
  }
  const silent = own ? [] : containersOf(pod).filter((c) => typeOf(c) === undefined);
  if (silent.length === 0) return undefined;
  return {
    reason,
    detail: `pod or ${containers(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
};
