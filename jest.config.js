export default {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2023" }, module: { type: "es6" } },
    ],
  },
  testMatch: ["<rootDir>/{pkg,cmd,test}/**/*.test.ts"],
  modulePathIgnorePatterns: ["<rootDir>/dist"],
};
