/** What a component asks of the API, and how it is answered, under client-go's name. */
import type { ApiObject, WatchEvent } from "../../pkg/api/object.ts";
import { ApiError } from "../../pkg/api/status.ts";
import { METHODS } from "../../pkg/client/request.ts";
import type { Call, Transport } from "../../pkg/client/transport.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";

/** What has no code did not come to an answer. */
const codeOf = (error: unknown) => (error instanceof ApiError ? String(error.code) : "<error>");

/** The same transport, whose calls are counted. */
export function counted(transport: Transport, metrics: Metrics): Transport {
  const requests = metrics.counter({
    name: "rest_client_requests_total",
    help: "Number of HTTP requests, partitioned by status code and method.",
    labels: ["code", "method"],
  });
  const count = ({ verb }: Call, code: string) => requests({ code, method: METHODS[verb] });
  return {
    async call(call, signal) {
      try {
        const answer = await transport.call(call, signal);
        count(call, call.verb === "create" ? "201" : "200");
        return answer;
      } catch (error) {
        if (!signal?.aborted) count(call, codeOf(error));
        throw error;
      }
    },
    async *watch(call, signal): AsyncGenerator<WatchEvent<ApiObject>, void, undefined> {
      try {
        yield* transport.watch(call, signal);
        count(call, "200");
      } catch (error) {
        if (!signal.aborted) count(call, codeOf(error));
        throw error;
      }
    },
  };
}
