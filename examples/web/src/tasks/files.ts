import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { TaskFormat, Violation } from "tasks-api-client";
import { TasksApiError, useClient } from "../api";
import { explanation } from "../api/errors";
import { quoted } from "../ui/quoted";
import { useToast } from "../ui/toasts";
import { forgetTrash } from "./cache";

const FORMATS: readonly string[] = ["json", "ndjson", "csv"] satisfies TaskFormat[];

export interface ImportProblem {
  file: string;
  errors: readonly { where: string; detail: string }[];
}

/** Saves all tasks as a file. A link could not send the token. */
export function useExport() {
  const client = useClient();
  const toast = useToast();
  async function exportAs(format: TaskFormat): Promise<void> {
    toast("Preparing the file …", { lasting: true });
    try {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await client.tasks.exportFile(format));
      link.download = `tasks.${format}`;
      link.click();
      URL.revokeObjectURL(link.href);
      toast(`“${link.download}” is saved.`);
    } catch (error) {
      toast(`The export failed: ${explanation(error)}`);
    }
  }
  return { exportAs };
}

/** Imports a file that the user chooses: all its records, or none. */
export function useImport() {
  const cache = useQueryClient();
  const client = useClient();
  const toast = useToast();
  const [problem, setProblem] = useState<ImportProblem | null>(null);

  async function importFile(file: File): Promise<void> {
    const format = file.name.split(".").at(-1)?.toLowerCase() ?? "";
    if (!FORMATS.includes(format)) {
      toast(`${quoted(file.name)} is not a .json, .ndjson or .csv file.`);
      return;
    }
    toast(`Importing ${quoted(file.name)} …`, { lasting: true });
    try {
      const { imported, unchanged } = await client.tasks.importFile(file, format as TaskFormat);
      const known = unchanged ? ` ${unchanged.toLocaleString("en")} were here already.` : "";
      toast(`${imported === 1 ? "1 task" : `${imported.toLocaleString("en")} tasks`} imported.${known}`);
      forgetTrash(cache);
      await cache.invalidateQueries();
    } catch (error) {
      const errors = error instanceof TasksApiError ? error.errors : [];
      if (errors.length === 0) toast(`Nothing was imported: ${explanation(error)}`);
      else {
        toast("Nothing was imported.");
        setProblem({ file: file.name, errors: errors.map((one) => ({ where: place(one), detail: one.detail.replace(/^\//, "") })) });
      }
    }
  }

  function chooseFile(): void {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = ".json,.ndjson,.csv";
    input.addEventListener("change", () => input.files?.[0] && void importFile(input.files[0]));
    input.click();
  }

  return { chooseFile, problem, dismiss: () => setProblem(null) };
}

/** Where an error is: the line of a file, or the JSON Pointer of a record, such as `/0/title`. */
function place(violation: Violation): string {
  if ("line" in violation) return `Line ${violation.line}`;
  const [, record, ...rest] = ("pointer" in violation ? violation.pointer : "").split("/");
  return record ? [`Record ${Number(record) + 1}`, ...rest].join(", ") : "File";
}
