/** Before every test file: properties take their chance from SEED, too, and say how to see a failure again. */
import fc from "fast-check";
import { replay } from "./seeds.ts";

const given = process.env["SEED"];

function report<T>(details: fc.RunDetails<T>): void {
  if (!details.failed) return;
  const error = new Error(`${fc.defaultReportMessage(details)}\n\n${replay(details.seed)}`);
  throw Object.assign(error, { cause: details.errorInstance });
}

fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  ...(given !== undefined && { seed: Number(given) }),
  reporter: report,
});
