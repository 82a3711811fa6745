/** `authorizer` in CEL: what the user of a request may do besides it. */
import { define } from "../../api/cel/define.ts";
import type { newEnvironment } from "../../api/cel/cel.ts";
import {
  AUTHENTICATED,
  type Attributes,
  onPath,
  onResource,
  serviceAccountGroups,
  serviceAccountUser,
} from "../../api/rbac/attributes.ts";
import type { AdmissionRequest, ClusterView } from "../admission.ts";
import { decide } from "../auth/authorization.ts";

type Environment = ReturnType<typeof newEnvironment>;
type User = Attributes["user"];

class Authorizer {
  readonly user: User;
  readonly view: ClusterView;
  /** `authorizer.requestResource` */
  readonly requestResource: ResourceCheck;

  constructor(user: User, view: ClusterView, resource: ResourceAttributes) {
    this.user = user;
    this.view = view;
    this.requestResource = new ResourceCheck(this, resource);
  }

  as(user: User): Authorizer {
    return new Authorizer(user, this.view, this.requestResource.attributes);
  }
}

type ResourceAttributes = Pick<Attributes, "apiGroup" | "resource" | "subresource" | "namespace" | "name">;

class ResourceCheck {
  readonly by: Authorizer;
  readonly attributes: ResourceAttributes;

  constructor(by: Authorizer, attributes: ResourceAttributes) {
    this.by = by;
    this.attributes = attributes;
  }

  with(more: Partial<ResourceAttributes>): ResourceCheck {
    return new ResourceCheck(this.by, { ...this.attributes, ...more });
  }

  check(verb: string): Decision {
    return new Decision(decide(onResource(this.by.user, verb, this.attributes), this.by.view));
  }
}

class GroupCheck extends ResourceCheck {}

class PathCheck {
  readonly by: Authorizer;
  readonly path: string;

  constructor(by: Authorizer, path: string) {
    this.by = by;
    this.path = path;
  }

  check(verb: string): Decision {
    return new Decision(decide(onPath(this.by.user, verb, this.path), this.by.view));
  }
}

class Decision {
  readonly allowed: boolean;
  readonly reason: string;

  constructor(d: { readonly allowed: boolean; readonly reason: string }) {
    this.allowed = d.allowed;
    this.reason = d.reason;
  }
}

const NAME = "kubernetes.authorization.";
const [AUTHORIZER, PATH, GROUP, RESOURCE, DECISION] = [
  `${NAME}Authorizer`,
  `${NAME}PathCheck`,
  `${NAME}GroupCheck`,
  `${NAME}ResourceCheck`,
  `${NAME}Decision`,
];
/** The type of the variable. */
export const AUTHORIZER_TYPE = AUTHORIZER;

const NOTHING = { apiGroup: "", resource: "", subresource: "", namespace: "", name: "" };

/** Adds the types and their functions; returns `env`. */
export function registerAuthorizer(env: Environment): Environment {
  env.registerType(RESOURCE, { ctor: ResourceCheck, fields: {} });
  env.registerType(AUTHORIZER, { ctor: Authorizer, fields: { requestResource: RESOURCE } });
  env.registerType(GROUP, { ctor: GroupCheck, fields: {} });
  env.registerType(PATH, { ctor: PathCheck, fields: {} });
  env.registerType(DECISION, { ctor: Decision, fields: {} });
  define(env, `${AUTHORIZER}.path(string): ${PATH}`, (a: Authorizer, path: string) => new PathCheck(a, path));
  define(
    env,
    `${AUTHORIZER}.group(string): ${GROUP}`,
    (a: Authorizer, apiGroup: string) => new GroupCheck(a, { ...NOTHING, apiGroup }),
  );
  define(env, `${AUTHORIZER}.serviceAccount(string, string): ${AUTHORIZER}`, asAccount);
  define(
    env,
    `${GROUP}.resource(string): ${RESOURCE}`,
    (g: GroupCheck, resource: string) => new ResourceCheck(g.by, { ...g.attributes, resource }),
  );
  for (const field of ["subresource", "namespace", "name"] as const) {
    define(env, `${RESOURCE}.${field}(string): ${RESOURCE}`, (r: ResourceCheck, text: string) =>
      r.with({ [field]: text }),
    );
  }
  for (const type of [RESOURCE, PATH]) {
    define(env, `${type}.check(string): ${DECISION}`, (c: ResourceCheck | PathCheck, verb: string) => c.check(verb));
  }
  define(env, `${DECISION}.allowed(): bool`, (d: Decision) => d.allowed);
  define(env, `${DECISION}.reason(): string`, (d: Decision) => d.reason);
  // Rights are looked up in memory: that cannot fail.
  define(env, `${DECISION}.errored(): bool`, () => false);
  define(env, `${DECISION}.error(): string`, () => "");
  return env;
}

function asAccount(a: Authorizer, namespace: string, name: string): Authorizer {
  const groups = [...serviceAccountGroups(namespace), AUTHENTICATED];
  return a.as({ name: serviceAccountUser(namespace, name), groups });
}

/** The value of the variable. */
export function authorizerOf(r: AdmissionRequest, view: ClusterView): object {
  const { def, subresource, namespace, name } = r;
  return new Authorizer(r.user, view, { apiGroup: def.group, resource: def.plural, subresource, namespace, name });
}
