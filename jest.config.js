const base = {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2023" }, module: { type: "es6" } },
    ],
  },
  setupFilesAfterEnv: ["<rootDir>/test/harness/properties.ts"],
  modulePathIgnorePatterns: ["<rootDir>/dist"],
};

export default {
  testTimeout: 300_000,
  projects: [
    {
      ...base,
      displayName: "unit",
      testMatch: [
        "<rootDir>/{pkg,cmd,test/simulated,test/wire,test/fuzz,test/faults}/**/*.test.ts",
        "<rootDir>/test/*.test.ts",
      ],
    },
    // A real cluster on real Docker, one test file at a time.
    { ...base, displayName: "scenario", testMatch: ["<rootDir>/test/scenarios/**/*.test.ts"] },
  ],
};
