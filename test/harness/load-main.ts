/** {@link Load} as a program, for a network namespace of its own: `node --import tsx load-main.ts URL`, until SIGTERM. */
import { Load } from "./load.ts";

const [url = ""] = process.argv.slice(2);
const load = new Load({ url, concurrency: 4 });
process.once("SIGTERM", () => void load.stop().then((report) => process.stdout.write(`${JSON.stringify(report)}\n`)));
await load.more(50);
process.stdout.write("running\n");
