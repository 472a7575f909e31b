export { createTasksClient, type TasksClient } from "./client.js";
export { entityTag } from "./entity_tag.js";
export {
  ConnectionError,
  OtherError,
  TaskConflictError,
  TaskNotFoundError,
  TasksApiError,
  TryLaterError,
  UnauthenticatedError,
  ValidationError,
  type Violation,
} from "./errors.js";
export type {
  BulkResult,
  Health,
  ImportRecord,
  ImportResult,
  Readiness,
  Task,
  TaskCounts,
  TaskFormat,
  TaskSort,
  TaskStatus,
  TokenInfo,
  UserProfile,
} from "./generated/types.gen.js";
export * from "./tasks.js";
export { type Client, type ClientOptions, createClient, type RetryOptions, type Token } from "./transport.js";
