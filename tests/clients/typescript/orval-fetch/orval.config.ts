import { defineConfig } from "orval";

export default defineConfig({
  tasks: {
    input: "../../../../openapi/openapi.yaml",
    output: {
      target: "generated/index.ts",
      client: "fetch",
      httpClient: "fetch",
      baseUrl: { runtime: "process.env.TASKS_URL" },
    },
  },
});
