/** The directory that an image is built from, as a tar: what `.dockerignore` names is left out. */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import dockerignore from "@balena/dockerignore";
import { type Headers, type Pack, pack } from "tar-fs";
import { CliError } from "./io.ts";

/** It exports the function itself, whatever its types say. */
const newIgnore = dockerignore as unknown as typeof dockerignore.default;

/** Rejects when there is no such directory, or no Dockerfile in it. */
export async function buildContext(directory: string, dockerfile: string): Promise<Readable> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw new CliError(`cannot read ${directory}: ${(error as Error).message}`);
  });
  const paths = entries.map((e) => relative(directory, join(e.parentPath, e.name)).split(sep).join("/"));
  if (!paths.includes(dockerfile)) throw new CliError(`there is no ${dockerfile} in ${directory}; name it with -f`);
  const rules = await readFile(join(directory, ".dockerignore"), "utf8").catch(() => "");
  const wanted = included(paths, rules, [dockerfile, ".dockerignore"]);
  const archive = pack(directory, {
    ignore: (path) => !wanted.has(relative(directory, path).split(sep).join("/")),
    // Whoever sends it: in the image it is root's, as with Docker's own client.
    map: asRoot,
  });
  return plainStream(archive);
}

/** All of a directory, as a tar. */
export function packDirectory(directory: string): Readable {
  return plainStream(pack(directory, { map: asRoot }));
}

const asRoot = (header: Headers): Headers => ({ ...header, uid: 0, gid: 0 });

function plainStream(archive: Pack): Readable {
  // Its streams are of a library of their own, which the rest of the program does not know as streams.
  const body = new PassThrough();
  archive.on("error", (error: Error) => body.destroy(error));
  return archive.pipe(body);
}

/** Of all paths those that are sent: `always` whatever the rules say, and the directories in which something is. */
export function included(paths: readonly string[], rules: string, always: readonly string[]): ReadonlySet<string> {
  const filter = newIgnore().add(rules);
  const kept = [...filter.filter([...paths]), ...always.filter((a) => paths.includes(a))];
  const wanted = new Set(["", ...kept]);
  for (const path of kept) for (let d = dirname(path); d !== "."; d = dirname(d)) wanted.add(d);
  return wanted;
}
