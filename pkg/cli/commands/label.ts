import { setMetadataCommand } from "./set-metadata.ts";

export const command = setMetadataCommand({ field: "labels", word: "label", did: "labeled" });
