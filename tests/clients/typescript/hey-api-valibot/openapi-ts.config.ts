import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  input: "../../../../openapi/openapi.yaml",
  output: "generated",
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "valibot", { name: "@hey-api/sdk", validator: "valibot" }],
});
