/** The custom kinds that every cluster has. */
import { customResourceDefinitions } from "../../pkg/api/kinds/apiextensions/customresourcedefinition.ts";
import { isReason } from "../../pkg/api/status.ts";
import { templateDefinition } from "../../pkg/api/template/kind.ts";
import type { Client } from "../../pkg/client/client.ts";
import type { Logger } from "../../pkg/util/log.ts";

/** Made, or brought up to this program's version; a cluster without them works all the same. */
export async function ensureDefinitions({ client, log }: { client: Client; log: Logger }): Promise<void> {
  const api = client.resource(customResourceDefinitions);
  const { name = "" } = templateDefinition.metadata;
  try {
    await api.create(templateDefinition);
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) return log.warn({ err: error, name }, "a custom kind is not defined");
    await api.patch(name, "application/merge-patch+json", { spec: templateDefinition.spec }).catch((err: unknown) => {
      log.warn({ err, name }, "a custom kind is not brought up to date");
    });
  }
}
