/**
 * Fields that a JSON text has more than once. `JSON.parse` keeps the last and says nothing; whoever wrote two rarely meant
 * that.
 */
const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const [OPEN_LIST, CLOSE_LIST] = [91, 93];
const [OPEN_OBJECT, CLOSE_OBJECT] = [123, 125];

/** As Kubernetes: nobody reads more. */
const MAX_FOUND = 100;

interface Frame {
  /** Undefined in a list. */
  readonly seen: Set<string> | undefined;
  key: string;
  index: number;
  /** The next string is a key. */
  before: boolean;
}

/** Paths (`spec.containers[0].name`) in the order they come, each once. `text` must be valid JSON. Linear. */
export function duplicateFields(text: string): string[] {
  const found = new Set<string>();
  const stack: Frame[] = [];
  for (let at = 0; at < text.length; at++) {
    const top = stack.at(-1);
    switch (text.charCodeAt(at)) {
      case OPEN_OBJECT:
        stack.push({ seen: new Set(), key: "", index: 0, before: true });
        break;
      case OPEN_LIST:
        stack.push({ seen: undefined, key: "", index: 0, before: false });
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        stack.pop();
        break;
      case COMMA:
        if (top?.seen) top.before = true;
        else if (top) top.index++;
        break;
      case QUOTE: {
        const end = endOfString(text, at);
        if (top?.seen && top.before) {
          top.before = false;
          top.key = unquoted(text.slice(at, end + 1));
          if (top.seen.has(top.key)) found.add(pathOf(stack));
          else top.seen.add(top.key);
          if (found.size === MAX_FOUND) return [...found];
        }
        at = end;
      }
    }
  }
  return [...found];
}

/** Of the closing quote. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

function unquoted(token: string): string {
  return token.includes("\\") ? (JSON.parse(token) as string) : token.slice(1, -1);
}

function pathOf(stack: readonly Frame[]): string {
  let path = "";
  for (const { seen, key, index } of stack) path += seen ? `${path && "."}${key}` : `[${index}]`;
  return path;
}
