import { clientDefaultConfig, clientDefaultMeta, defineConfig, definePluginConfig } from "@hey-api/openapi-ts";

/** The generated functions send their requests with src/transport.ts instead of a client of hey-api, which is larger. */
const transport = definePluginConfig({
  ...clientDefaultMeta,
  config: { ...clientDefaultConfig, baseUrl: false, bundle: false },
  handler: () => {},
  name: "../transport.js",
});

export default defineConfig({
  input: "../../openapi/openapi.yaml",
  output: { path: "src/generated", module: { extension: ".js" } },
  plugins: ["@hey-api/typescript", { name: "@hey-api/sdk", client: false }, transport()],
});
