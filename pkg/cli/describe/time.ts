/** RFC 1123 with a numeric zone, in the user's own time, as kubectl prints times: `Sat, 21 Nov 2026 05:40:12 +0100`. */
export function localTime(time: string | undefined): string {
  const d = new Date(time ?? "");
  if (Number.isNaN(d.getTime())) return time ?? "<unknown>";
  const two = (n: number) => String(n).padStart(2, "0");
  const day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][d.getDay()] ?? "";
  const month = d.toLocaleString("en", { month: "short" });
  const offset = -d.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const clock = [d.getHours(), d.getMinutes(), d.getSeconds()].map(two).join(":");
  return `${day}, ${two(d.getDate())} ${month} ${d.getFullYear()} ${clock} ${zone}`;
}
