/** Print, as JSON, the functions and methods of the package of which an editor shows no description. */

import ts from "typescript";

const options = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: [] };
const program = ts.createProgram(["strict.ts"], { ...options, target: ts.ScriptTarget.ES2022, strict: true });
const checker = program.getTypeChecker();
const source = program.getSourceFile("strict.ts");
const [imported] = source.statements.filter(ts.isImportDeclaration);

const typeOf = (symbol) => checker.getTypeOfSymbolAtLocation(symbol, source);
const isFunction = (symbol) => typeOf(symbol).getCallSignatures().length > 0;
const isDescribed = (symbol) => symbol.getDocumentationComment(checker).length > 0;

/** The functions among some members, and among the members of those that are objects. */
function functions(symbols, path = "") {
  return symbols.flatMap((symbol) => {
    const name = path + symbol.name;
    return isFunction(symbol) ? [{ name, symbol }] : functions(typeOf(symbol).getProperties(), `${name}.`);
  });
}

const exported = checker
  .getExportsOfModule(checker.getSymbolAtLocation(imported.moduleSpecifier))
  .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
  .filter((symbol) => symbol.flags & ts.SymbolFlags.Function);
const client = checker.getSymbolsInScope(source, ts.SymbolFlags.Variable).filter(({ name }) => name === "client");
const all = [...exported.map((symbol) => ({ name: symbol.name, symbol })), ...functions(client)];
const names = all.filter(({ symbol }) => !isDescribed(symbol)).map(({ name }) => name);
console.log(JSON.stringify({ functions: all.length, undescribed: names }));
