/** `quantity("200Mi").isLessThan(quantity("1Gi"))` */
import type { Environment } from "@marcbachmann/cel-js";
import { addQuantities, formatQuantity, isQuantity, parseQuantity, type Quantity } from "../quantity.ts";
import { define } from "./define.ts";

const NANO = 1_000_000_000n;
const MAX_INT = 2n ** 63n;

class CelQuantity {
  readonly value: Quantity;

  constructor(value: Quantity) {
    this.value = value;
  }

  equals(other: unknown): boolean {
    return other instanceof CelQuantity && other.value.nano === this.value.nano;
  }

  toString(): string {
    return formatQuantity(this.value);
  }
}

const TYPE = "kubernetes.Quantity";

export function registerQuantity(env: Environment): void {
  env.registerType(TYPE, CelQuantity);
  env.registerOperator(`${TYPE} == ${TYPE}`, (a: CelQuantity, b: CelQuantity) => a.equals(b));
  define(env, `quantity(string): ${TYPE}`, (text: string) => new CelQuantity(parse(text)));
  define(env, "isQuantity(string): bool", isQuantity);
  define(env, `${TYPE}.sign(): int`, (q: CelQuantity) => compare(q.value.nano, 0n));
  define(env, `${TYPE}.isInteger(): bool`, (q: CelQuantity) => asInteger(q) !== undefined);
  define(env, `${TYPE}.asInteger(): int`, (q: CelQuantity) => {
    const whole = asInteger(q);
    if (whole === undefined) throw new RangeError("cannot convert value to integer");
    return whole;
  });
  define(env, `${TYPE}.asApproximateFloat(): double`, (q: CelQuantity) => Number(q.value.nano) / Number(NANO));
  define(env, `${TYPE}.compareTo(${TYPE}): int`, (a: CelQuantity, b: CelQuantity) =>
    compare(a.value.nano, b.value.nano),
  );
  define(env, `${TYPE}.isLessThan(${TYPE}): bool`, (a: CelQuantity, b: CelQuantity) => a.value.nano < b.value.nano);
  define(env, `${TYPE}.isGreaterThan(${TYPE}): bool`, (a: CelQuantity, b: CelQuantity) => a.value.nano > b.value.nano);
  for (const [name, sign] of [
    ["add", 1n],
    ["sub", -1n],
  ] as const) {
    const plus = (a: CelQuantity, nano: bigint, format: Quantity["format"]) =>
      new CelQuantity(addQuantities(a.value, { nano: sign * nano, format }));
    define(env, `${TYPE}.${name}(${TYPE}): ${TYPE}`, (a: CelQuantity, b: CelQuantity) =>
      plus(a, b.value.nano, b.value.format),
    );
    define(env, `${TYPE}.${name}(int): ${TYPE}`, (a: CelQuantity, n: bigint) => plus(a, n * NANO, a.value.format));
  }
}

/** As an error of the expression, not of the server. */
function parse(text: string): Quantity {
  if (!isQuantity(text)) throw new RangeError(`invalid quantity ${JSON.stringify(text)}`);
  return parseQuantity(text);
}

function asInteger(q: CelQuantity): bigint | undefined {
  const whole = q.value.nano / NANO;
  return q.value.nano % NANO === 0n && whole < MAX_INT && whole >= -MAX_INT ? whole : undefined;
}

const compare = (a: bigint, b: bigint) => (a < b ? -1n : a > b ? 1n : 0n);
