/** Tokens that an administrator has written down: a file of `token,user,uid,"group1,group2"` lines. */
import { createHash } from "node:crypto";
import type { User } from "../../api/rbac/attributes.ts";
import type { TokenAuthenticator } from "./authentication.ts";

/** Throws Error, with the line that is wrong. Text after `#` is a comment where it starts a line. */
export function tokenFileAuthenticator(text: string): TokenAuthenticator {
  const users = new Map<string, User>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [token, name, uid, groups = ""] = fieldsOf(line);
    if (!token || !name || uid === undefined) {
      throw new Error(`line ${i + 1}: expected at least token,user,uid`);
    }
    users.set(digest(token), { name, ...(uid && { uid }), groups: groups.split(",").map(trim).filter(Boolean) });
  }
  return (token, audiences) => {
    const user = users.get(digest(token));
    return Promise.resolve(user && { user, audiences });
  };
}

const trim = (word: string) => word.trim();
/** Looked up by what an attacker cannot steer towards a token character by character. */
const digest = (token: string) => createHash("sha256").update(token).digest("base64");

/** Of a CSV line: a field in quotes may hold commas, and quotes that are doubled. */
function fieldsOf(line: string): string[] {
  const fields = line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return [...fields].map(([, quoted, plain = ""]) => quoted?.replaceAll('""', '"') ?? plain.trim());
}
