// Checks types as `tsconfig.json` has it. What does not fit an interface is an error where the user exports it: `fits`
// is a module of Wherry's that assigns each export to the type which the interface has for it.
import { createRequire } from "node:module";
import path from "node:path";

const [compiler, style, source, fits] = process.argv.slice(2);
const ts = createRequire(import.meta.url)(compiler);
const host = {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => finish([diagnostic]),
};
const place = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: ts.sys.getCurrentDirectory,
  getNewLine: () => "\n",
};

function finish(diagnostics) {
  const told = style === "pretty" ? ts.formatDiagnosticsWithColorAndContext : ts.formatDiagnostics;
  process.stdout.write(told(diagnostics, place));
  process.exit(diagnostics.some((one) => one.category === ts.DiagnosticCategory.Error) ? 1 : 0);
}

/** An error of the module that assigns, moved to what the user exports. */
function moved(program, diagnostic) {
  if (!fits || !diagnostic.file || path.resolve(diagnostic.file.fileName) !== path.resolve(fits)) return diagnostic;
  const file = program.getSourceFile(source);
  if (file === undefined) return diagnostic;
  const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
  const name = /\/\*(.*?)\*\//.exec(diagnostic.file.text.split("\n")[line])?.[1];
  const checker = program.getTypeChecker();
  const symbol = checker.getSymbolAtLocation(file);
  let found = symbol && checker.getExportsOfModule(symbol).find((one) => one.name === name);
  if (found && found.flags & ts.SymbolFlags.Alias) found = checker.getAliasedSymbol(found);
  const declared = found?.valueDeclaration ?? found?.declarations?.[0];
  if (declared === undefined) {
    const messageText = `\`${name}\` is not exported, which the interface asks for.`;
    return { ...diagnostic, file, start: 0, length: 0, messageText, relatedInformation: undefined };
  }
  const node = declared.name ?? declared;
  const where = declared.getSourceFile();
  return { ...diagnostic, file: where, start: node.getStart(where), length: node.getWidth(where) };
}

const parsed = ts.getParsedCommandLineOfConfigFile("tsconfig.json", { noEmit: true }, host);
const rootNames = fits ? [...parsed.fileNames, fits] : parsed.fileNames;
const program = ts.createProgram({
  rootNames,
  options: parsed.options,
  projectReferences: parsed.projectReferences,
  configFileParsingDiagnostics: ts.getConfigFileParsingDiagnostics(parsed),
});
const diagnostics = ts.getPreEmitDiagnostics(program).map((one) => moved(program, one));
finish(ts.sortAndDeduplicateDiagnostics(diagnostics));
