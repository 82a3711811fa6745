/** Paths by minor version, "1.27"; there after {@link ensureTestTools}. */
export const kubectls: Readonly<Record<string, string>>;
/** Paths by minor version, "3.12". */
export const helms: Readonly<Record<string, string>>;
export function ensureTestTools(): Promise<void>;
