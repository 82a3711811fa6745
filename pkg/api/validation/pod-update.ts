export const validatePodUpdate = (_: unknown, __: unknown): FieldErrors => [];
import type { FieldErrors } from "./field.ts";
