/** What Kubernetes sets by flags of its controller manager; same names, same defaults. */
export interface AutoscalerSettings {
  /** Between two looks at one autoscaler. */
  readonly syncMs: number;
  /** For how long a recommendation counts that was higher than the present one, where the autoscaler itself does not say. */
  readonly downscaleStabilizationMs: number;
  /** So near to 1 a ratio of use to target changes nothing, where the autoscaler itself does not say. */
  readonly tolerance: number;
  /** After its start, a Pod's CPU use counts only from when it was ready. */
  readonly cpuInitializationMs: number;
  /** A Pod that became unready within this time of its start has never been ready. */
  readonly initialReadinessMs: number;
}

export const defaultSettings: AutoscalerSettings = {
  syncMs: 15_000,
  downscaleStabilizationMs: 300_000,
  tolerance: 0.1,
  cpuInitializationMs: 300_000,
  initialReadinessMs: 30_000,
};
