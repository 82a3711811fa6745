export const HELLO_IMAGE: string;
export function ensureHelloImage(o?: { socketPath?: string }): Promise<void>;
