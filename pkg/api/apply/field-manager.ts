/** Under which name somebody writes. */
import { type FieldError } from "../status.ts";
import { invalidValue, required, tooLong } from "../validation/field.ts";
import { byteLength } from "../validation/meta.ts";

const MAX_BYTES = 128;
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

/** Of the parameter `fieldManager`. An apply must say who applies: its next one must be told from others'. */
export function fieldManagerErrors(asked: string, isApply: boolean): readonly FieldError[] {
  const wrong = UNPRINTABLE.exec(asked);
  return [
    ...(isApply && asked === "" ? [required("fieldManager", "is required for apply patch")] : []),
    ...(byteLength(asked) > MAX_BYTES ? [tooLong("fieldManager", MAX_BYTES)] : []),
    ...(wrong ? [invalidValue("fieldManager", asked, unprintable(asked, wrong))] : []),
  ];
}

function unprintable(asked: string, { 0: character, index }: RegExpExecArray): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `invalid character U+${code} (at position ${byteLength(asked.slice(0, index))})`;
}

/** What a program calls itself: `kubectl/v1.36 (linux/amd64)` → `kubectl`. */
export function managerOfUserAgent(userAgent: string): string {
  let name = "";
  for (const character of userAgent.split("/", 1)[0] ?? "") {
    if (byteLength(name + character) > MAX_BYTES) break;
    if (!UNPRINTABLE.test(character)) name += character;
  }
  return name;
}
