export const validatePod = (_: unknown): FieldErrors => [];
import type { FieldErrors } from "./field.ts";
