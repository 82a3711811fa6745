/**
 * Sets of fields of an object, in the form in which `managedFields` carry them (FieldsV1): a tree of path elements,
 *
 *     {"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}}}
 *
 * where an empty object, or one with ".", says that the field itself is in the set. A set is that JSON, so nothing is ever
 * encoded or decoded. Sets are never changed: operations share what they keep, and give back their first argument itself
 * where they change nothing.
 */

/** One step of a path: `f:name`, `k:{"name":"web"}` (keys in order), `v:"x"`, `i:0`. */
export type Element = string;

export interface FieldSet {
  readonly [element: Element]: FieldSet;
}

interface Node {
  [element: Element]: Node;
}

const SELF = ".";
export const EMPTY: FieldSet = Object.freeze({});
const LEAF = EMPTY as Node;

export function isEmpty(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether the field that `node` stands for is in the set, not only some of what it holds. */
export function isMember(node: FieldSet | undefined): boolean {
  return node !== undefined && (SELF in node || isEmpty(node));
}

export function has(set: FieldSet, path: readonly Element[]): boolean {
  let node: FieldSet | undefined = set;
  for (const element of path) node = node?.[element];
  return path.length > 0 && isMember(node);
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  let result: Node | undefined;
  for (const element in b) {
    const [x, y] = [a[element], b[element] ?? EMPTY];
    const both = x === undefined ? y : unionOfNodes(x, y);
    if (both !== x) (result ??= { ...a } as Node)[element] = both as Node;
  }
  return result ?? a;
}

function unionOfNodes(x: FieldSet, y: FieldSet): FieldSet {
  if (x === y) return x;
  // "." is an element like any other from here on.
  if (isEmpty(x)) return isEmpty(y) ? x : union(y, { [SELF]: LEAF });
  return union(x, isEmpty(y) ? { [SELF]: LEAF } : y);
}

/** What is in `a` and not in `b`. A field in `b` takes away neither what holds it nor what it holds. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  let result: Node | undefined;
  for (const element in b) {
    const [x, y] = [a[element], b[element] ?? EMPTY];
    if (x === undefined) continue;
    const left = differenceOfNodes(x, y);
    if (left === x) continue;
    result ??= { ...a } as Node;
    if (left === undefined) delete result[element];
    else result[element] = left as Node;
  }
  return result ?? a;
}

function differenceOfNodes(x: FieldSet, y: FieldSet): FieldSet | undefined {
  if (isEmpty(x)) return isMember(y) ? undefined : x;
  const left = difference(x, isEmpty(y) ? { [SELF]: LEAF } : y);
  if (left === x) return x;
  if (isEmpty(left)) return undefined;
  return SELF in left && Object.keys(left).length === 1 ? LEAF : left;
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result: Node = {};
  for (const element in a) {
    const [x, y] = [a[element], b[element]];
    if (element === SELF || x === undefined || y === undefined) continue;
    const below = intersection(x, y) as Node;
    const both = isMember(x) && isMember(y);
    if (!isEmpty(below)) result[element] = both ? { [SELF]: LEAF, ...below } : below;
    else if (both) result[element] = LEAF;
  }
  return result;
}

/** All paths in the set, what holds before what is held. */
export function paths(set: FieldSet): Element[][] {
  const found: Element[][] = [];
  const visit = (node: FieldSet, path: readonly Element[]) => {
    for (const element of Object.keys(node).toSorted()) {
      const child = node[element];
      if (element === SELF || child === undefined) continue;
      const at = [...path, element];
      if (isMember(child)) found.push(at);
      visit(child, at);
    }
  };
  visit(set, []);
  return found;
}

/** Elements in order, so that equal sets are equal bytes. */
export function sorted(set: FieldSet): FieldSet {
  const elements = Object.keys(set);
  const inOrder = elements.every((e, i) => i === 0 || (elements[i - 1] ?? "") < e);
  let result: Node | undefined = inOrder ? undefined : {};
  for (const element of inOrder ? elements : elements.toSorted()) {
    const child = set[element] ?? EMPTY;
    const below = sorted(child);
    if (result === undefined && below !== child) result = { ...set } as Node;
    if (result !== undefined) result[element] = below as Node;
  }
  return result ?? set;
}

const shared = new Map<string, FieldSet>();
const MAX_SHARED = 1000;

/** One set for all that are equal, elements in order: the thousand Pods of a Deployment have the same fields. */
export function interned(set: FieldSet): FieldSet {
  const text = JSON.stringify(set);
  const known = shared.get(text);
  if (known) return known;
  const [oldest] = shared.keys();
  if (oldest !== undefined && shared.size >= MAX_SHARED) shared.delete(oldest);
  shared.set(text, set);
  return set;
}

/** Collects paths; the only way to a new set. */
export class SetBuilder {
  readonly #root: Node = {};

  /** The whole object is no field: an empty path adds nothing. */
  add(path: readonly Element[]): void {
    const last = path.length - 1;
    let node = this.#root;
    for (let i = 0; i < last; i++) {
      const element = path[i] ?? "";
      const child = node[element];
      if (child !== undefined && child !== LEAF) node = child;
      else node = node[element] = child === LEAF ? { [SELF]: LEAF } : {};
    }
    const element = path[last];
    if (element === undefined) return;
    const child = node[element];
    if (child === undefined) node[element] = LEAF;
    else if (child !== LEAF) child[SELF] = LEAF;
  }

  get set(): FieldSet {
    return this.#root;
  }
}

/** A client's FieldsV1 in our form: keys in order, nothing that is no element. Undefined if it cannot be one. */
export function readFieldSet(value: unknown): FieldSet | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const result: Node = {};
  for (const [text, child] of Object.entries(value)) {
    const element = text === SELF ? SELF : readElement(text);
    const below = readFieldSet(child);
    if (element === undefined || below === undefined) return undefined;
    if (element !== "") result[element] = below as Node;
  }
  return SELF in result && Object.keys(result).length === 1 ? LEAF : result;
}

/** Undefined for what is no element; "" for one of a kind that we do not know, which is ignored. */
function readElement(text: string): Element | undefined {
  const [kind, content] = [text.slice(0, 2), text.slice(2)];
  if (kind === "f:") return text;
  if (kind === "i:") return /^-?\d+$/.test(content) ? text : undefined;
  if (kind === "k:" || kind === "v:") return canonical(kind, content);
  return kind[1] === ":" ? "" : undefined;
}

function canonical(kind: "k:" | "v:", json: string): Element | undefined {
  try {
    const value: unknown = JSON.parse(json);
    if (kind === "v:") return kind + JSON.stringify(value);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    const keys = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `${kind}{${keys.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(",")}}`;
  } catch {
    return undefined;
  }
}
