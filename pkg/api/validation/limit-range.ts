/** The limits of a LimitRange, each in itself and beside the others for the same resource. */
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { LimitRangeItem } from "../generated/types.ts";
import { qualifiedName } from "../names.ts";
import { compareQuantities, milliValue, parseQuantity } from "../quantity.ts";
import { checked, each, type FieldErrors, forbidden, invalidValue, required, unique } from "./field.ts";
import { isExtended, isHugePages, validateResourceName } from "./resources.ts";

type Item = DeepReadonly<LimitRangeItem>;

const TYPES = ["Pod", "Container", "PersistentVolumeClaim"];
const LISTS = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] as const;
const CONTAINER_RESOURCES = ["cpu", "memory", "ephemeral-storage"];

export function validateLimits(limits: readonly Item[] | undefined, field: string): FieldErrors {
  return [...each(field, limits, validateItem), ...unique(field, limits, (l) => l.type, ".type")];
}

function validateItem(item: Item, at: string): FieldErrors {
  const ofPods = item.type === "Pod";
  const lists = LISTS.filter((list) => !(ofPods && (list === "default" || list === "defaultRequest")));
  const resources = new Set(lists.flatMap((list) => Object.keys(item[list] ?? {})));
  return [
    ...validateType(item.type ?? "", `${at}.type`),
    ...lists.flatMap((list) =>
      Object.keys(item[list] ?? {}).flatMap((name) => validateName(item.type, name, `${at}.${list}[${name}]`)),
    ),
    ...(["default", "defaultRequest"] as const)
      .filter((list) => ofPods && Object.keys(item[list] ?? {}).length > 0)
      .map((list) => forbidden(`${at}.${list}`, "may not be specified when `type` is 'Pod'")),
    ...validateClaims(item, `${at}.limits`),
    ...[...resources].flatMap((name) => [...validateOrder(item, name, at), ...validateRatio(item, name, at)]),
  ];
}

function validateType(type: string, field: string): FieldErrors {
  const errors = checked(field, type, qualifiedName);
  if (errors.length || type.includes("/") || TYPES.includes(type)) return errors;
  return [invalidValue(field, type, "must be a standard limit type or fully qualified")];
}

function validateName(type: string, name: string, field: string): FieldErrors {
  const errors = validateResourceName(name, field);
  if (errors.length || (type !== "Pod" && type !== "Container") || name.includes("/")) return errors;
  if (CONTAINER_RESOURCES.includes(name) || isHugePages(name)) return errors;
  return [invalidValue(field, name, "must be a standard resource for containers")];
}

function validateClaims({ type, min, max }: Item, field: string): FieldErrors {
  if (type !== "PersistentVolumeClaim" || min?.["storage"] !== undefined || max?.["storage"] !== undefined) return [];
  return [required(field, "either minimum or maximum storage value is required, but neither was provided")];
}

type List = (typeof LISTS)[number];

/** `[lesser, greater, where it is reported, whose value is shown, words]` */
const ORDER: readonly (readonly [List, List, List, List, string, string])[] = [
  ["min", "max", "min", "min", "min value", "max value"],
  ["min", "defaultRequest", "defaultRequest", "defaultRequest", "min value", "default request value"],
  ["defaultRequest", "max", "defaultRequest", "defaultRequest", "default request value", "max value"],
  ["defaultRequest", "default", "defaultRequest", "defaultRequest", "default request value", "default limit value"],
  ["min", "default", "default", "min", "min value", "default value"],
  ["default", "max", "default", "max", "default value", "max value"],
];

function validateOrder(item: Item, name: string, at: string): FieldErrors {
  const { default: limit, defaultRequest: request } = item;
  const ordered = ORDER.flatMap(([low, high, where, shown, lowWords, highWords]) => {
    const [a, b] = [own(item[low], name), own(item[high], name)];
    if (a === undefined || b === undefined || compareQuantities(a, b) <= 0) return [];
    const why = `${lowWords} ${a} is greater than ${highWords} ${b}`;
    return [invalidValue(`${at}.${where}[${name}]`, own(item[shown], name), why)];
  });
  const [a, b] = [own(limit, name), own(request, name)];
  const overcommits = !isExtended(name) && !isHugePages(name);
  if (overcommits || a === undefined || b === undefined || compareQuantities(a, b) === 0) return ordered;
  const why = `default value ${a} must equal to defaultRequest value ${b} in ${name}`;
  return [...ordered, invalidValue(`${at}.defaultRequest[${name}]`, b, why)];
}

function validateRatio(item: Item, name: string, at: string): FieldErrors {
  const [ratio, min, max] = [own(item.maxLimitRequestRatio, name), own(item.min, name), own(item.max, name)];
  if (ratio === undefined) return [];
  const refuse = (why: string) => invalidValue(`${at}.maxLimitRequestRatio[${name}]`, ratio, why);
  const small = compareQuantities(ratio, "1") < 0 ? [refuse(`ratio ${ratio} is less than 1`)] : [];
  if (min === undefined || max === undefined || parseQuantity(min).nano === 0n) return small;
  const limit = Number(milliValue(max)) / Number(milliValue(min));
  if (Number(milliValue(ratio)) / 1000 <= limit) return small;
  return [...small, refuse(`ratio ${ratio} is greater than max/min = ${limit.toFixed(6)}`)];
}
