export function inOwnNetwork(args: readonly string[]): string[];
export function ensureTestPackages(): Promise<void>;
