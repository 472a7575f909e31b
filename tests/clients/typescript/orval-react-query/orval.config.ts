import { defineConfig } from "orval";

export default defineConfig({
  tasks: {
    input: "../../../../openapi/openapi.yaml",
    output: {
      target: "generated/index.ts",
      client: "react-query",
      httpClient: "fetch",
      baseUrl: { runtime: "process.env.TASKS_URL" },
    },
  },
});
