// Prints every function of these JavaScript files that has more lines than allowed: node long_functions.mjs LINES FILE …

import { readFileSync } from "node:fs";
import ts from "typescript";

const [most, ...files] = process.argv.slice(2);
for (const file of files) {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  const line = (position) => source.getLineAndCharacterOfPosition(position).line + 1;
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body) {
      const first = line(node.getStart(source));
      const lines = line(node.end) - first + 1;
      if (lines > Number(most)) console.log(`${file}:${first} ${node.name?.getText(source) ?? node.parent.name?.getText(source) ?? "=>"} ${lines}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}
