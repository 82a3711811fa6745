/** Probes and lifecycle hooks. */
import type { DeepReadonly } from "../../util/types.ts";
import type { Container, LifecycleHandler, PodSpec, Probe } from "../generated/types.ts";
import { portName, portNumber } from "../names.ts";
import {
  checked,
  each,
  type FieldErrors,
  forbidden,
  invalidValue,
  notNegative,
  oneOf,
  positive,
  required,
} from "./field.ts";
import { validateStopSignal } from "./restart.ts";

type ReadonlyContainer = DeepReadonly<Container>;
type Handler = DeepReadonly<Pick<Probe, "exec" | "httpGet" | "tcpSocket" | "grpc"> & Pick<LifecycleHandler, "sleep">>;

const HEADER_ERROR =
  "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

export function validateProbes(c: ReadonlyContainer, field: string): FieldErrors {
  const once = (name: "livenessProbe" | "startupProbe") => {
    const n = c[name]?.successThreshold;
    return n === undefined || n === 1 ? [] : [invalidValue(`${field}.${name}.successThreshold`, n, "must be 1")];
  };
  const grace = c.readinessProbe?.terminationGracePeriodSeconds;
  return [
    ...validateProbe(c.livenessProbe, `${field}.livenessProbe`),
    ...once("livenessProbe"),
    ...validateProbe(c.readinessProbe, `${field}.readinessProbe`),
    ...(grace === undefined
      ? []
      : [
          invalidValue(
            `${field}.readinessProbe.terminationGracePeriodSeconds`,
            grace,
            "must not be set for readinessProbes",
          ),
        ]),
    ...validateProbe(c.startupProbe, `${field}.startupProbe`),
    ...once("startupProbe"),
  ];
}

function validateProbe(p: DeepReadonly<Probe> | undefined, field: string): FieldErrors {
  if (!p) return [];
  return [
    ...validateHandler(p, field),
    ...notNegative(`${field}.initialDelaySeconds`, p.initialDelaySeconds),
    ...notNegative(`${field}.timeoutSeconds`, p.timeoutSeconds),
    ...notNegative(`${field}.periodSeconds`, p.periodSeconds),
    ...notNegative(`${field}.successThreshold`, p.successThreshold),
    ...notNegative(`${field}.failureThreshold`, p.failureThreshold),
    ...positive(`${field}.terminationGracePeriodSeconds`, p.terminationGracePeriodSeconds),
  ];
}

export function validateLifecycle(c: ReadonlyContainer, spec: DeepReadonly<PodSpec>, field: string): FieldErrors {
  const { postStart, preStop, stopSignal } = c.lifecycle ?? {};
  const at = `${field}.lifecycle`;
  return [
    ...(postStart ? validateHook(postStart, spec, `${at}.postStart`) : []),
    ...(preStop ? validateHook(preStop, spec, `${at}.preStop`) : []),
    ...validateStopSignal(stopSignal, spec, `${at}.stopSignal`),
  ];
}

/** One that sleeps past the grace period would never come to its end. */
function validateHook(h: DeepReadonly<LifecycleHandler>, spec: DeepReadonly<PodSpec>, field: string): FieldErrors {
  const seconds = h.sleep?.seconds ?? 0;
  const grace = spec.terminationGracePeriodSeconds ?? 30;
  if (seconds >= 0 && seconds <= grace) return validateHandler(h, field);
  const why = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
  return [invalidValue(`${field}.sleep`, seconds, why)];
}

function validateHandler(h: Handler, field: string): FieldErrors {
  const [type, another] = (["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const).filter((k) => h[k]);
  if (!type) return [required(field, "must specify a handler type")];
  if (another) return [forbidden(`${field}.${another}`, "may not specify more than 1 handler type")];
  return validateAction(h, `${field}.${type}`);
}

function validateAction(h: Handler, field: string): FieldErrors {
  if (h.exec) return h.exec.command?.length ? [] : [required(`${field}.command`)];
  if (h.sleep) return notNegative(`${field}.seconds`, h.sleep.seconds);
  const target = h.httpGet ?? h.tcpSocket ?? h.grpc;
  const errors = target ? validatePort(target.port, `${field}.port`) : [];
  if (!h.httpGet) return errors;
  return [
    ...(h.httpGet.path ? [] : [required(`${field}.path`)]),
    ...errors,
    ...oneOf(`${field}.scheme`, h.httpGet.scheme, ["HTTP", "HTTPS"]),
    ...each(`${field}.httpHeaders`, h.httpGet.httpHeaders, (header, at) =>
      checked(`${at}.name`, header.name, (v) => (/^[-A-Za-z0-9]+$/.test(v) ? [] : [HEADER_ERROR])),
    ),
  ];
}

/** A number, or the name of one of the container's ports. */
function validatePort(port: number | string | undefined, field: string): FieldErrors {
  if (typeof port === "string") return checked(field, port, portName);
  return portNumber(port ?? 0).map((detail) => invalidValue(field, port ?? 0, detail));
}
