/** Blocks of a PEM text, in its order; what stands between them is comment. */
export function pemBlocks(text: string): { label: string; base64: string }[] {
  const blocks = text.matchAll(/^-----BEGIN ([^-\n]+)-----\s*$([^-]*)^-----END \1-----\s*$/gm);
  return [...blocks].map(([, label = "", body = ""]) => ({ label, base64: body.replace(/\s+/g, "") }));
}
