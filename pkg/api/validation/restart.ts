/** What containers say of their own restarts and of how they are stopped. */
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { Container, PodSpec } from "../generated/types.ts";
import { each, type FieldErrors, forbidden, notSupported, required, tooMany } from "./field.ts";

type ReadonlyContainer = DeepReadonly<Container>;

const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;

export function validateContainerRestart(c: ReadonlyContainer, at: string): FieldErrors {
  const rules = c.restartPolicyRules ?? [];
  const field = `${at}.restartPolicyRules`;
  return [
    ...(c.restartPolicy === undefined && rules.length > 0
      ? [required(`${at}.restartPolicy`, "must specify restartPolicy when restart rules are used")]
      : []),
    ...(c.restartPolicy === undefined
      ? []
      : supported(`${at}.restartPolicy`, c.restartPolicy, ["Always", "Never", "OnFailure"])),
    ...(rules.length > MAX_RULES ? [tooMany(field, rules.length, MAX_RULES)] : []),
    ...each(field, rules, (rule, i) => [
      ...supported(`${i}.action`, rule.action, ["Restart"]),
      ...(rule.exitCodes
        ? validateExitCodes(rule.exitCodes, `${i}.exitCodes`)
        : [required(`${i}.exitCodes`, "must be specified")]),
    ]),
  ];
}

type ExitCodes = NonNullable<NonNullable<ReadonlyContainer["restartPolicyRules"]>[number]["exitCodes"]>;

function validateExitCodes({ operator, values = [] }: ExitCodes, at: string): FieldErrors {
  return [
    ...supported(`${at}.operator`, operator, ["In", "NotIn"]),
    ...(values.length > MAX_EXIT_CODES ? [tooMany(`${at}.values`, values.length, MAX_EXIT_CODES)] : []),
  ];
}

/** Numbers differ between operating systems, so the Pod must say which it means. */
export function validateStopSignal(
  signal: string | undefined,
  spec: DeepReadonly<Pick<PodSpec, "os">>,
  field: string,
): FieldErrors {
  if (signal === undefined) return [];
  if (!spec.os?.name) return [forbidden(field, "may not be set for containers with empty `spec.os.name`")];
  return supported(field, signal, own(SIGNALS, spec.os.name) ?? []);
}

const NAMED =
  "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ";
const offsets = (name: string, sign: string, most: number) =>
  Array.from({ length: most }, (_, n) => `${name}${sign}${n + 1}`);
const REAL_TIME = ["RTMIN", ...offsets("RTMIN", "+", 15), ...offsets("RTMAX", "-", 14), "RTMAX"];

const SIGNALS: Readonly<Record<string, readonly string[]>> = {
  linux: [...NAMED.split(" "), ...REAL_TIME].map((name) => `SIG${name}`),
  windows: ["SIGKILL", "SIGTERM"],
};

function supported(field: string, value: string, values: readonly string[]): FieldErrors {
  return values.includes(value) ? [] : [notSupported(field, value, values)];
}
