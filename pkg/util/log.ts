/**
 * What every component logs to. `cmd/` passes pino; tests pass {@link silent} or a recorder.
 * Info is for transitions, debug for skips with a reason; fields are data, the message is a constant phrase.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

export const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
};
