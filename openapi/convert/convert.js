// Reads the document as JSON, and writes {"openapi31": ..., "postman": ...} as JSON: the same interface as an OpenAPI 3.1
// document, and as a collection of requests for Postman, which Bruno imports too.
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

import { upgradeFromThreeToThreeOne } from "@scalar/openapi-upgrader/3.0-to-3.1";
import converter from "openapi-to-postmanv2";

const POSTMAN = {
  folderStrategy: "Tags",
  requestNameSource: "Fallback",
  // The examples of the document instead of made-up values.
  parametersResolution: "Example",
  exampleParametersResolution: "Example",
  // A request that is sent as it is must not demand an entity tag or a media type.
  enableOptionalParameters: false,
  keepImplicitHeaders: true,
};

const BASE_URL = "http://localhost:8000";
const KEEP_ID = 'if (pm.response.code === 201) pm.collectionVariables.set("task_id", pm.response.json().id);';

const given = await text(process.stdin);
const document = JSON.parse(given);
const openapi31 = upgradeFromThreeToThreeOne(JSON.parse(given));
process.stdout.write(JSON.stringify({ openapi31, postman: await collection(document) }));

async function collection(document) {
  const parameters = Object.values(document.components.parameters);
  parameters.forEach(giveOneExample);
  const input = { type: "string", data: JSON.stringify(document) };
  const converted = await promisify(converter.convertV2.bind(converter))(input, POSTMAN);
  if (!converted.result) throw new Error(converted.reason);
  const made = withoutIds(converted.output[0].data);
  const variables = parameters.filter((parameter) => parameter.in === "path").map((parameter) => parameter.name);
  made.variable = [{ key: "baseUrl", value: BASE_URL }, ...["bearerToken", ...variables].map((key) => ({ key, value: "" }))];
  requestsOf(made.item).forEach(finish);
  return made;
}

// The converter takes the named examples of a parameter for parameters, and makes up what has no example.
function giveOneExample(parameter) {
  const [named] = Object.values(parameter.examples ?? {});
  const { schema } = parameter;
  const example = parameter.example ?? named?.value ?? schema.example ?? schema.default ?? "";
  parameter.example = parameter.in === "path" ? `{{${parameter.name}}}` : example;
  delete parameter.examples;
}

// They are new in every conversion, so that the same document would give another file.
function withoutIds(value) {
  if (Array.isArray(value)) return value.map(withoutIds);
  if (value === null || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([name, id]) => !(name === "_postman_id" || (name === "id" && typeof id === "string")));
  return Object.fromEntries(kept.map(([name, part]) => [name, withoutIds(part)]));
}

function requestsOf(items) {
  return items.flatMap((item) => (item.item ? requestsOf(item.item) : [item]));
}

// Bruno takes an address that is not written out for one without a scheme. The requests for one task take the one that was
// created last.
function finish(item) {
  const { method, url } = item.request;
  const query = url.query.filter((parameter) => !parameter.disabled).map(({ key, value }) => `${key}=${value}`);
  url.raw = `${url.host[0]}/${url.path.join("/")}${query.length ? `?${query.join("&")}` : ""}`;
  if (method === "POST" && url.path.at(-1) === "tasks")
    item.event = [{ listen: "test", script: { type: "text/javascript", exec: [KEEP_ID] } }];
}
