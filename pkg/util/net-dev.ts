/** Linux' count of what went over each interface. Pure. */

export interface InterfaceCount {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly txBytes: number;
  readonly txErrors: number;
}

/** Of a text like `/proc/net/dev`: all but the loopback. */
export function readInterfaces(text: string): readonly InterfaceCount[] {
  return text.split("\n").flatMap((line) => {
    const [, name = "", rest = ""] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === "" || name === "lo") return [];
    const n = rest.trim().split(/\s+/).map(Number);
    return [{ name, rxBytes: n[0] ?? 0, rxErrors: n[2] ?? 0, txBytes: n[8] ?? 0, txErrors: n[10] ?? 0 }];
  });
}
