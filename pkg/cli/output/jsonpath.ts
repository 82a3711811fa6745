/** JSONPath of the command line: what is wrong with it ends the command. */
import { parsePath as parse, parseTemplate as parseText, type Template } from "../../api/jsonpath/jsonpath.ts";
import { JsonPathError } from "../../api/jsonpath/parser.ts";
import { CliError } from "../io.ts";

/** Throws {@link CliError} saying what is wrong and where. */
export const parseTemplate = (text: string): Template => ending(() => parseText(text));
/** A bare expression, with or without braces. Throws {@link CliError}. */
export const parsePath = (text: string) => ending(() => parse(text));

function ending<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof JsonPathError ? new CliError(error.message) : error;
  }
}
