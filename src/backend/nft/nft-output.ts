/** What `list table` prints, from the library and from the program alike. */

/** libnftables 1.0.6 breaks off in the middle of its JSON when a table has flags: such a listing holds nothing, and so differs from all of ours. */
export function parseTableJson(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch (error: unknown) {
    if (!(error instanceof SyntaxError)) throw error;
    return { nftables: [] };
  }
}

/** The comment in the text of a table of family inet. */
export function commentInText(output: string): string | undefined {
  return /^table inet \S+ \{\n(?:\tflags [^\n]*\n)?\tcomment "([^"\n]*)"\n/.exec(output)?.[1];
}

/** Does this error text say that the table does not exist? */
export function saysNoTable(text: string): boolean {
  return text.includes('No such file or directory');
}
