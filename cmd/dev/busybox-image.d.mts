export function hasImage(image: string, o?: { socketPath?: string }): Promise<boolean>;
export function ensureBusyboxImage(
  image: string,
  o?: { socketPath?: string; files?: Record<string, string>; changes?: string[] },
): Promise<void>;
