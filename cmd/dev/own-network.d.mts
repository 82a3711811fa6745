export function inOwnNetwork(args: readonly string[]): string[];
export function ensureFaultTools(): Promise<void>;
