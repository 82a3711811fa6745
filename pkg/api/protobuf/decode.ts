/** Placeholder until the decoder is there. */
import { badRequest } from "../status.ts";
export function decodeProtobuf(_bytes: Uint8Array): unknown {
  throw badRequest("protobuf");
}
