import { setMetadataCommand } from "./set-metadata.ts";

export const command = setMetadataCommand({ field: "annotations", word: "annotation", did: "annotated" });
