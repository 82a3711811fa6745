/**
 * Roles and bindings as one policy: which rules a user has where. Pure; made anew when any of the objects changes, so
 * that nothing in it needs to be kept up to date.
 */
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterRole, ClusterRoleBinding, RbacV1Subject, Role, RoleBinding } from "../generated/types.ts";
import { nameOf, namespaceOf } from "../object.ts";
import { type Attributes, type User, serviceAccountUser } from "./attributes.ts";
import { type Rule, ruleAllows } from "./rules.ts";

/** The objects a policy consists of. */
export interface RbacObjects {
  clusterRole(name: string): DeepReadonly<ClusterRole> | undefined;
  role(namespace: string, name: string): DeepReadonly<Role> | undefined;
  readonly clusterRoleBindings: Iterable<DeepReadonly<ClusterRoleBinding>>;
  readonly roleBindings: Iterable<DeepReadonly<RoleBinding>>;
}

type Binding = DeepReadonly<ClusterRoleBinding | RoleBinding>;

/** One binding that applies to a user, with what it gives. */
interface Grant {
  /** `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"` */
  readonly source: string;
  readonly rules: readonly Rule[];
}

/** What a user has at one place. Rules only add, so what could not be resolved does not make the rest wrong. */
interface Grants {
  readonly grants: readonly Grant[];
  /** Why some bindings give nothing: their roles are not there. */
  readonly errors: readonly string[];
}

export type Verdict =
  | { readonly allowed: true; readonly reason: string }
  | { readonly allowed: false; readonly reason: string };

interface Bound {
  readonly binding: Binding;
  readonly subject: DeepReadonly<RbacV1Subject>;
}

/** Users whose rules are kept; more than that many at once start over. */
const KEPT_USERS = 4096;

export class Policy {
  readonly #objects: RbacObjects;
  /** Bindings by namespace ("" cluster wide), then by subject: `User\0eve`. */
  readonly #bound = new Map<string, Map<string, Bound[]>>();
  readonly #grants = new Map<string, Grants>();

  constructor(objects: RbacObjects) {
    this.#objects = objects;
    for (const binding of objects.clusterRoleBindings) this.#index("", binding);
    for (const binding of objects.roleBindings) this.#index(namespaceOf(binding), binding);
  }

  authorize(a: Attributes): Verdict {
    const errors: string[] = [];
    for (const place of placesOf(a.namespace)) {
      const found = this.#grantsOf(a.user, place);
      for (const { rules, source } of found.grants) {
        if (rules.some((rule) => ruleAllows(rule, a))) return { allowed: true, reason: `RBAC: allowed by ${source}` };
      }
      errors.push(...found.errors);
    }
    return { allowed: false, reason: errors.length ? `RBAC: ${aggregate(errors)}` : "" };
  }

  /** All that a user has in a namespace ("": cluster wide only). */
  rulesFor(user: User, namespace: string): { readonly rules: readonly Rule[]; readonly error: string } {
    const found = placesOf(namespace).map((place) => this.#grantsOf(user, place));
    const rules = found.flatMap((f) => f.grants.flatMap((g) => g.rules));
    return { rules, error: aggregate(found.flatMap((f) => f.errors)) };
  }

  /** The rules of the role that a binding in `namespace` ("": a ClusterRoleBinding) names; an error's text without one. */
  rulesOf(ref: DeepReadonly<RoleBinding>["roleRef"], namespace: string): readonly Rule[] | string {
    const { kind, name } = ref;
    if (kind !== "ClusterRole" && kind !== "Role") return `unsupported role reference kind: ${JSON.stringify(kind)}`;
    const role = kind === "Role" ? this.#objects.role(namespace, name) : this.#objects.clusterRole(name);
    if (!role) return `${kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(name)} not found`;
    return role.rules ?? [];
  }

  #index(namespace: string, binding: Binding): void {
    const bySubject = this.#bound.get(namespace) ?? new Map<string, Bound[]>();
    this.#bound.set(namespace, bySubject);
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, namespace);
      if (key === undefined) continue;
      const known = bySubject.get(key);
      if (known) known.push({ binding, subject });
      else bySubject.set(key, [{ binding, subject }]);
    }
  }

  #grantsOf(user: User, namespace: string): Grants {
    const key = JSON.stringify([namespace, user.name, user.groups]);
    const known = this.#grants.get(key);
    if (known) return known;
    const found = this.#resolve(user, namespace);
    if (this.#grants.size >= KEPT_USERS) this.#grants.clear();
    this.#grants.set(key, found);
    return found;
  }

  #resolve(user: User, namespace: string): Grants {
    const bySubject = this.#bound.get(namespace);
    const grants: Grant[] = [];
    const errors: string[] = [];
    if (!bySubject) return { grants, errors };
    const keys = [`User\0${user.name}`, ...user.groups.map((g) => `Group\0${g}`)];
    const bound = keys.flatMap((k) => bySubject.get(k) ?? []);
    const seen = new Set<Binding>();
    for (const { binding, subject } of bound) {
      // A binding that names a user more than once still gives its rules once.
      if (seen.has(binding)) continue;
      seen.add(binding);
      const rules = this.rulesOf(binding.roleRef, namespace);
      if (typeof rules === "string") errors.push(rules);
      else grants.push({ rules, source: describe(binding, subject, namespace) });
    }
    return { grants, errors };
  }
}

const placesOf = (namespace: string) => (namespace === "" ? [""] : ["", namespace]);

/** ServiceAccounts are users with a name of their own form. Undefined: nobody. */
function subjectKey(subject: DeepReadonly<RbacV1Subject>, bindingNamespace: string): string | undefined {
  switch (subject.kind) {
    case "User":
    case "Group":
      return `${subject.kind}\0${subject.name}`;
    case "ServiceAccount": {
      const namespace = subject.namespace || bindingNamespace;
      return namespace === "" ? undefined : `User\0${serviceAccountUser(namespace, subject.name)}`;
    }
    default:
      return undefined;
  }
}

function describe(binding: Binding, subject: DeepReadonly<RbacV1Subject>, namespace: string): string {
  const { kind, name } = binding.roleRef;
  const who = subject.kind === "ServiceAccount" ? `${subject.name}/${subject.namespace || namespace}` : subject.name;
  const what = namespace === "" ? "ClusterRoleBinding" : "RoleBinding";
  const which = namespace === "" ? nameOf(binding) : `${nameOf(binding)}/${namespace}`;
  return `${what} ${JSON.stringify(which)} of ${kind} ${JSON.stringify(name)} to ${subject.kind} ${JSON.stringify(who)}`;
}

/** One error as it is, several as a list, each once. */
function aggregate(errors: readonly string[]): string {
  const distinct = [...new Set(errors)];
  return distinct.length > 1 ? `[${distinct.join(", ")}]` : (distinct[0] ?? "");
}
