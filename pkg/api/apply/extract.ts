/** Which fields a configuration mentions, and what in it cannot be applied. */
import { fieldType, hasFields, hasItems, isDeclared, isEmptyContainer, isList, itemType } from "./containers.ts";
import { elementText, fieldElement, itemElement, itemError, pathText } from "./elements.ts";
import { type Element, type FieldSet, SetBuilder } from "./field-set.ts";
import type { MergeType } from "./merge-type.ts";

export interface Extracted {
  /** Leaves, items of lists and keys of maps; structs only where they are empty. */
  readonly fields: FieldSet;
  /** In the words of structured-merge-diff: `.spec.foo: field not declared in schema`. Values of leaves are not looked at. */
  readonly errors: readonly string[];
}

export function extract(type: MergeType, configuration: unknown): Extracted {
  const walk = new Walk();
  walk.value(type, configuration);
  return { fields: walk.found.set, errors: walk.errors };
}

class Walk {
  readonly found = new SetBuilder();
  readonly errors: string[] = [];
  readonly #path: Element[] = [];

  value(type: MergeType, value: unknown): void {
    if (hasFields(type, value)) {
      for (const name in value) this.#field(type, name, value[name]);
    } else if (hasItems(type, value) && isList(type)) {
      this.#items(type, value);
    } else {
      const wanted = isList(type) ? "list" : type.kind === "object" || type.kind === "map" ? "map" : undefined;
      if (wanted !== undefined && value !== null) this.#refuse(`expected ${wanted}, got &{${goText(value)}}`);
      this.found.add(this.#path);
    }
  }

  #field(type: MergeType, name: string, value: unknown): void {
    if (value === undefined) return;
    this.#path.push(fieldElement(name));
    const declared = isDeclared(type, name);
    if (type.kind === "object" && !declared) this.#refuse("field not declared in schema");
    else this.value(fieldType(type, name), value);
    if (!declared || (isEmptyContainer(value) && !Array.isArray(value))) this.found.add(this.#path);
    this.#path.pop();
  }

  #items(type: Extract<MergeType, { kind: "list" | "set" }>, list: readonly unknown[]): void {
    const seen = new Set<Element>();
    for (const [i, item] of list.entries()) {
      const error = itemError(type, item);
      if (error !== undefined) return this.#refuse(`element ${i}: ${error}`);
      const element = itemElement(type, item);
      if (seen.has(element)) this.#refuse(`duplicate entries for key ${elementText(element)}`);
      seen.add(element);
      this.#path.push(element);
      this.value(itemType(type), item);
      this.found.add(this.#path);
      this.#path.pop();
    }
  }

  #refuse(why: string): void {
    this.errors.push(`${pathText(this.#path)}: ${why}`);
  }
}

function goText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
