/** Which version of a group clients should prefer. */
const VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/;

/** v10, v2, v1, v11beta2, v10beta3, v3beta1, v12alpha1, foo1: released ones first, then the newest. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [VERSION.exec(a), VERSION.exec(b)];
  if (!x || !y) return x ? -1 : y ? 1 : a < b ? -1 : a > b ? 1 : 0;
  const stability = (m: RegExpExecArray) => ["alpha", "beta", undefined].indexOf(m[2]);
  return stability(y) - stability(x) || Number(y[1]) - Number(x[1]) || Number(y[3] ?? 0) - Number(x[3] ?? 0);
}
