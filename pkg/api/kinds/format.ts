/** How `kubectl get` shows a list in one cell. */

/** The first three, and how many there are beyond. */
export function firstThree(all: readonly string[], none: string): string {
  const shown = all.slice(0, 3).join(",");
  if (all.length > 3) return `${shown} + ${all.length - 3} more...`;
  return shown === "" ? none : shown;
}
