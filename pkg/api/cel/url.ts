/** `url("https://example.com:80/path").getHost()` */
import type { Environment } from "@marcbachmann/cel-js";
import { define } from "./define.ts";

class CelUrl {
  readonly text: string;
  readonly url: URL;
  /** A path alone is a URL too. */
  readonly absolute: boolean;

  constructor(text: string, url: URL) {
    this.text = text;
    this.url = url;
    this.absolute = !text.startsWith("/");
  }

  /** As written: the platform's own parser drops a scheme's usual port. */
  get port(): string {
    const authority = /^[^:]+:\/\/([^/?#]*)/.exec(this.text)?.[1] ?? "";
    return /:(\d*)$/.exec(authority)?.[1] ?? "";
  }

  get hostname(): string {
    return this.absolute ? this.url.hostname : "";
  }

  equals(other: unknown): boolean {
    return other instanceof CelUrl && other.text === this.text;
  }

  toString(): string {
    return this.text;
  }
}

const TYPE = "kubernetes.URL";

export function registerUrl(env: Environment): void {
  env.registerType(TYPE, CelUrl);
  env.registerOperator(`${TYPE} == ${TYPE}`, (a: CelUrl, b: CelUrl) => a.equals(b));
  define(env, `url(string): ${TYPE}`, (text: string) => {
    const url = parse(text);
    if (!url)
      throw new RangeError(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
      );
    return new CelUrl(text, url);
  });
  define(env, "isURL(string): bool", (text: string) => parse(text) !== undefined);
  define(env, `${TYPE}.getScheme(): string`, (u: CelUrl) => (u.absolute ? u.url.protocol.slice(0, -1) : ""));
  define(env, `${TYPE}.getHost(): string`, (u: CelUrl) => (u.port === "" ? u.hostname : `${u.hostname}:${u.port}`));
  define(env, `${TYPE}.getHostname(): string`, (u: CelUrl) => u.hostname.replace(/^\[(.*)\]$/, "$1"));
  define(env, `${TYPE}.getPort(): string`, (u: CelUrl) => u.port);
  define(env, `${TYPE}.getEscapedPath(): string`, (u: CelUrl) =>
    u.url.pathname === "/" && !/[^/:]\/([?#]|$)|^\//.test(u.text) ? "" : u.url.pathname,
  );
  define(env, `${TYPE}.getQuery(): map<string, list<string>>`, (u: CelUrl) => {
    const query = new Map<string, string[]>();
    for (const [key, value] of u.url.searchParams) query.set(key, [...(query.get(key) ?? []), value]);
    return query;
  });
}

function parse(text: string): URL | undefined {
  if (/[\s\p{Cc}]/u.test(text)) return undefined;
  if (text.startsWith("/")) return URL.canParse(text, "http://none") ? new URL(text, "http://none") : undefined;
  return /^[a-z][a-z0-9+.-]*:/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}
